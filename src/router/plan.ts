import { formatPrefix } from '../base/address.ts'
import {
  linkWorks,
  type KernelEvidence,
  type ObservedInterface,
  type ProcessEvidence,
  type SettingsEvidence,
} from './evidence.ts'
import type { Step, TableName } from './operation.ts'
import type { Router, Supervision } from './router.ts'
import type { InterfaceSpec, RouterSpec } from './spec.ts'

/** What is to be done, in order; and what is to be done but must wait, with the reason. */
export interface Plan {
  readonly steps: readonly Step[]
  readonly waiting: readonly Waiting[]
}

export interface Waiting {
  readonly step: Step
  readonly reason: string
  /** When the wait ends by itself; undefined where only an event ends it. */
  readonly untilMonoMs: number | undefined
}

/** The part of a router that a plan is made from. */
export type Plannable = Pick<Router, 'wanted' | 'kernel' | 'process' | 'settings' | 'supervision' | 'marker'>

/** A reload sooner than this many advertisement intervals after the last may cost the role (LP#1647432). */
const reloadThrottleIntervals = 1.5
/** A table that could not be made is tried again after so long. */
const tablePauseMs = 30_000

/**
 * Compare wanted with observed. Pure and idempotent: once every step is done and observed, the plan is empty. Without
 * evidence of settings, or of the processes, nothing is planned: what has not been looked at is not touched.
 */
export function plan(router: Plannable, nowMonoMs: number): Plan {
  const { wanted, kernel, process, settings } = router
  if (settings.kind === 'unseen' || process.kind === 'unseen' || kernel.kind === 'unseen') return nothing
  if (wanted === undefined) return removal(router)
  const planned: (Step | Waiting)[] = [
    ...namespaceSteps(wanted, kernel, settings),
    // Before there is an interface that could speak or hear.
    ...tableSteps(['vrrp'], wanted, kernel, settings, nowMonoMs),
    ...interfaceSteps(wanted, kernel, settings, process),
    // An operator's rules may name interfaces.
    ...tableSteps(['nat', 'flows', 'operator'], wanted, kernel, settings, nowMonoMs),
    ...configSteps(wanted, settings),
    ...(process.kind === 'absent' ? [startStep(router, wanted, nowMonoMs)] : reloadSteps(router, wanted, nowMonoMs)),
  ]
  return { steps: planned.filter(isStep), waiting: planned.filter(isWaiting) }
}

/** Of equal text whatever of it must wait: a wish is no other one for that. */
export const wishOf = ({ steps, waiting }: Plan): string =>
  [...steps, ...waiting.map(({ step }) => step)]
    .map(({ text }) => text)
    .sort()
    .join('; ')

const nothing: Plan = { steps: [], waiting: [] }

const isWaiting = (one: Step | Waiting): one is Waiting => 'reason' in one
const isStep = (one: Step | Waiting): one is Step => !isWaiting(one)

function removal({ kernel, process, settings, marker }: Plannable): Plan {
  const there =
    kernel.kind === 'present' ||
    process.kind === 'running' ||
    (settings.kind === 'seen' && settings.writtenDigest !== undefined)
  if (!there) return nothing
  const step: Step = {
    operation: { verb: 'remove-router' },
    text: 'stop keepalived and remove what was made for the router',
    movesRole: marker.present,
  }
  return { steps: [step], waiting: [] }
}

function namespaceSteps(wanted: RouterSpec, kernel: KernelEvidence, settings: SettingsEvidence): Step[] {
  const named = kernel.kind === 'present' && kernel.named
  if (named && settings.kind === 'seen' && settings.namespaceReady) return []
  return [
    {
      operation: { verb: 'ensure-namespace' },
      text: `make namespace ${wanted.namespace} and its settings`,
      movesRole: false,
    },
  ]
}

function interfaceSteps(
  wanted: RouterSpec,
  kernel: KernelEvidence,
  settings: SettingsEvidence,
  process: ProcessEvidence,
): Step[] {
  const there = kernel.kind === 'present' ? kernel.interfaces : new Map<string, ObservedInterface>()
  const misattached = settings.kind === 'seen' ? settings.misattached : []
  // While keepalived runs, a link that somebody set down stays down: that is how a failover is provoked by hand.
  const setUp = process.kind === 'absent'
  const steps = wanted.interfaces.flatMap((one) => interfaceStep(wanted, one, there.get(one.name), misattached, setUp))
  for (const [name, observed] of there) {
    if (!observed.ours || name === 'lo' || wanted.interfaces.some((one) => one.name === name)) continue
    steps.push(removeStep(name, false))
  }
  return steps
}

function interfaceStep(
  wanted: RouterSpec,
  one: InterfaceSpec,
  observed: ObservedInterface | undefined,
  misattached: readonly string[],
  setUp: boolean,
): Step[] {
  const operation = { verb: 'ensure-interface', interface: one.name } as const
  const create: Step = { operation, text: `create interface ${one.name} ${attachText(one)}`, movesRole: false }
  if (observed === undefined) return one.attach.kind === 'existing' ? [] : [create]
  if (misattached.includes(one.name)) {
    return [
      removeStep(one.name, one.name === wanted.haInterface || wanted.trackedInterfaces.includes(one.name)),
      create,
    ]
  }
  const changes = interfaceChanges(one, observed, setUp)
  if (changes.length === 0) return []
  return [{ operation, text: `change interface ${one.name}: ${changes.join(', ')}`, movesRole: false }]
}

function removeStep(name: string, movesRole: boolean): Step {
  return { operation: { verb: 'remove-interface', interface: name }, text: `remove interface ${name}`, movesRole }
}

function interfaceChanges(one: InterfaceSpec, observed: ObservedInterface, setUp: boolean): string[] {
  const changes: string[] = []
  if (setUp && !observed.up && one.attach.kind !== 'existing') changes.push('set up')
  if (one.mtu !== undefined && one.mtu !== observed.mtu) changes.push(`mtu ${String(one.mtu)}`)
  if (one.macAddress !== undefined && one.macAddress !== observed.macAddress) changes.push(`address ${one.macAddress}`)
  for (const address of one.addresses) {
    if (!observed.addresses.some((held) => sameAddress(held, address))) changes.push(`add ${formatPrefix(address)}`)
  }
  for (const held of observed.addresses) {
    if (held.ours && !one.addresses.some((address) => sameAddress(held, address))) {
      changes.push(`remove ${formatPrefix(held)}`)
    }
  }
  return changes
}

const sameAddress = (
  a: { address: string; prefixLength: number },
  b: { address: string; prefixLength: number },
): boolean => a.address === b.address && a.prefixLength === b.prefixLength

function attachText({ attach }: InterfaceSpec): string {
  switch (attach.kind) {
    case 'bridge':
      return `on bridge ${attach.bridge}`
    case 'macvlan':
      return `as macvlan of ${attach.parent}`
    case 'vxlan':
      return `as vxlan ${String(attach.vni)} over ${attach.parent}`
    case 'existing':
      return '(made by somebody else)'
  }
}

/** Before keepalived starts. Where one cannot be had the router runs without, which is a condition. */
function tableSteps(
  names: readonly TableName[],
  wanted: RouterSpec,
  kernel: KernelEvidence,
  settings: SettingsEvidence,
  nowMonoMs: number,
): (Step | Waiting)[] {
  if (settings.kind === 'unseen') return []
  return names.flatMap((table): (Step | Waiting)[] => {
    const evidence = settings.tables[table]
    const isWanted = wantsTable[table](wanted)
    // What was seen in a namespace that is gone says nothing about the one that is made in its place, which is empty.
    if (kernel.kind === 'present' ? evidence.kind === 'ready' : !isWanted) return []
    const text = isWanted ? tableTexts[table] : `remove what is there to ${tableTexts[table]}`
    const step: Step = { operation: { verb: 'ensure-table', table }, text, movesRole: false }
    const failure = evidence.kind === 'missing' ? evidence.failure : undefined
    if (failure === undefined || failure.at.monoMs + tablePauseMs <= nowMonoMs) return [step]
    return [{ step, reason: 'so soon after it failed', untilMonoMs: failure.at.monoMs + tablePauseMs }]
  })
}

const wantsTable: Readonly<Record<TableName, (wanted: RouterSpec) => boolean>> = {
  vrrp: () => true,
  nat: ({ nat }) => nat !== undefined,
  flows: ({ connectionTracking }) => connectionTracking !== undefined,
  operator: ({ packetFilter }) => packetFilter !== undefined,
}

const tableTexts: Readonly<Record<TableName, string>> = {
  vrrp: 'let only declared peers speak VRRP to it, and a backup say nothing',
  nat: 'translate addresses',
  flows: 'let flows be told by the primary to the peer alone',
  operator: 'filter packets by the file of its operator',
}

function configSteps(wanted: RouterSpec, settings: SettingsEvidence): Step[] {
  if (settings.kind === 'seen' && settings.writtenDigest === settings.wantedDigest) return []
  return [
    {
      operation: { verb: 'write-config' },
      text: `test and write the keepalived config of ${wanted.id}`,
      movesRole: false,
    },
  ]
}

function startStep({ kernel, supervision }: Plannable, wanted: RouterSpec, nowMonoMs: number): Step | Waiting {
  const step: Step = { operation: { verb: 'start-keepalived' }, text: 'start keepalived', movesRole: true }
  if (linkWorks(kernel, wanted.haInterface) !== true) {
    return { step, reason: `until ${wanted.haInterface} has carrier`, untilMonoMs: undefined }
  }
  if (supervision.startNotBeforeMonoMs > nowMonoMs) {
    return { step, reason: 'after it died again and again', untilMonoMs: supervision.startNotBeforeMonoMs }
  }
  return step
}

function reloadSteps(router: Plannable, wanted: RouterSpec, nowMonoMs: number): (Step | Waiting)[] {
  const { process, settings } = router
  if (process.kind !== 'running' || settings.kind !== 'seen') return []
  const { deaf, stopped, loadedDigest } = process
  const heals = deaf && linksWork(router.kernel, wanted)
  if (loadedDigest === settings.wantedDigest && !heals) return []
  const what = heals ? ', which is deaf' : settings.change === 'hitless' ? ' (addresses and routes only)' : ''
  const step: Step = {
    operation: { verb: 'reload-keepalived' },
    text: `reload keepalived${what}`,
    movesRole: heals || settings.change === 'may-move-role',
  }
  if (stopped) return [{ step, reason: 'while keepalived is stopped', untilMonoMs: undefined }]
  // A deaf one has no role to lose; what does not help is tried ever more slowly.
  const from = heals ? 0 : throttledUntil(router.supervision, wanted)
  return [from > nowMonoMs ? { step, reason: 'so soon after the last reload', untilMonoMs: from } : step]
}

/** Without them a reload may open no socket, or end keepalived. */
function linksWork(kernel: KernelEvidence, wanted: RouterSpec): boolean {
  return [wanted.haInterface, ...wanted.trackedInterfaces].every((name) => linkWorks(kernel, name))
}

function throttledUntil(supervision: Supervision, wanted: RouterSpec): number {
  if (supervision.lastReloadMonoMs === undefined) return 0
  return supervision.lastReloadMonoMs + reloadThrottleIntervals * wanted.advertisementIntervalMs
}
