import { KeepwardError } from '../base/error.ts'
import type { ObservedAddress, Says, TableEvidence, TablesEvidence } from '../router/evidence.ts'
import { objectOf, type TableName } from '../router/operation.ts'
import { keyOf, type HeardEvidence } from '../router/hook.ts'
import { wantedReactions, type ReactionEvidence, type ReactionName, type Stance } from '../router/reaction.ts'
import type { RouterSpec } from '../router/spec.ts'
import { hookDigest } from './hook-digest.ts'
import type { AgentOperation, HostOperation } from './operation.ts'

/** One router's namespace and keepalived, in memory. */
export interface FakeRouter {
  readonly namespace: string
  readonly interfaces: Map<string, FakeInterface>
  written: string | undefined
  /** What each says; of VRRP, the peers that may speak. */
  readonly tables: Map<TableName, string>
  keepalived: FakeKeepalived | undefined
  /** Services that run, each with what it was started with. */
  readonly services: Map<ReactionName, string>
  /** What hooks heard last, and all that each was run with. */
  heard: readonly HeardEvidence[]
  readonly told: string[]
}

interface FakeKeepalived {
  readonly pid: number
  readonly childPid: number | undefined
  says: Says
  loaded: string
  stopped: boolean
  deaf: boolean
}

export interface FakeInterface {
  up: boolean
  carrier: boolean
  ours: boolean
  mtu: number
  addresses: ObservedAddress[]
}

/** What a table is to say; undefined: there is to be none. */
const said: Readonly<Record<TableName, (spec: RouterSpec) => string | undefined>> = {
  vrrp: ({ advertise, haInterface }) => JSON.stringify([haInterface, advertise]),
  nat: ({ nat }) => nat && JSON.stringify(nat),
  flows: ({ connectionTracking }) => connectionTracking && JSON.stringify(connectionTracking),
  operator: ({ packetFilter }) => packetFilter?.file,
}

export function ensureTable(it: FakeRouter, spec: RouterSpec, table: TableName): void {
  const text = said[table](spec)
  if (text === undefined) it.tables.delete(table)
  else it.tables.set(table, text)
}

export function tablesOf(it: FakeRouter | undefined, spec: RouterSpec | undefined): TablesEvidence {
  const of = (table: TableName): TableEvidence =>
    it !== undefined && spec !== undefined && it.tables.get(table) === said[table](spec)
      ? { kind: 'ready' }
      : { kind: 'missing', failure: undefined, ...(it?.tables.get(table) === 'gone' ? { gone: true } : {}) }
  const vrrp = of('vrrp')
  return {
    vrrp: vrrp.kind === 'ready' ? { ...vrrp, strangers: [] } : vrrp,
    nat: of('nat'),
    flows: of('flows'),
    operator: of('operator'),
  }
}

export function reload({ namespace, keepalived, written }: FakeRouter): void {
  if (keepalived === undefined) throw new KeepwardError('keepalived-silent', `no keepalived runs in ${namespace}`)
  keepalived.loaded = written ?? ''
  keepalived.deaf = false
}

export function removeInterface(it: FakeRouter, name: string, spec: RouterSpec): void {
  if (it.interfaces.get(name)?.ours === false)
    throw new KeepwardError('permission-denied', `Interface ${name} in ${it.namespace} does not bear our mark`)
  it.interfaces.delete(name)
  // It closes its sockets, and opens none on another of that name.
  if (it.keepalived !== undefined && name === spec.haInterface)
    it.keepalived = { ...it.keepalived, says: 'backup', deaf: true }
}

/** What a service runs with in a stance; undefined: it does not. */
function serviceOf(spec: RouterSpec, reaction: ReactionName, stance: Stance): string | undefined {
  if (!wantedReactions(spec).includes(reaction)) return undefined
  switch (reaction) {
    case 'conntrackd':
      // It runs everywhere, and is told which stance it serves.
      return JSON.stringify([spec.connectionTracking, stance])
    case 'radvd':
      return stance === 'primary' ? JSON.stringify(spec.routerAdvertisements) : undefined
    case 'metadata':
      return stance === 'primary' || spec.metadata?.on === 'always' ? JSON.stringify(spec.metadata) : undefined
  }
}

export function react(
  it: FakeRouter,
  spec: RouterSpec,
  reaction: ReactionName,
  stance: Stance,
): ReactionEvidence['is'] {
  const text = serviceOf(spec, reaction, stance)
  if (text === undefined) it.services.delete(reaction)
  else it.services.set(reaction, text)
  return reactionsOf(it, spec).find((one) => one.reaction === reaction)?.is ?? 'both'
}

export function reactionsOf(it: FakeRouter | undefined, spec: RouterSpec | undefined): ReactionEvidence[] {
  if (spec === undefined) return []
  const names = new Set([...wantedReactions(spec), ...(it?.services.keys() ?? [])])
  return [...names].map((reaction) => {
    const runs = it?.services.get(reaction)
    const fits = (['primary', 'backup'] as const).filter((stance) => serviceOf(spec, reaction, stance) === runs)
    return { reaction, is: fits.length === 2 ? 'both' : (fits[0] ?? 'neither') }
  })
}

export function runHook(
  it: FakeRouter,
  spec: RouterSpec,
  { hook: place, digest, role, sequence }: Extract<HostOperation, { verb: 'run-hook' }>,
): string {
  const hook = spec.hooks[place]
  if (hook?.on.includes(role) !== true || hookDigest(keyOf(hook)) !== digest)
    throw new KeepwardError(
      'hook-undeclared',
      `Router ${spec.id} declares no such hook ${String(place)} for role ${role}`,
    )
  const key = keyOf(hook)
  if (it.heard.some((one) => one.hook === key && one.sequence === sequence && one.role === role)) return ''
  it.told.push(`${hook.program} ${role}`)
  it.heard = [...it.heard.filter((one) => one.hook !== key), { hook: key, role, sequence }]
  return ''
}

export const heardBy = (it: FakeRouter | undefined, spec: RouterSpec | undefined): readonly HeardEvidence[] =>
  it?.heard.filter(({ hook }) => spec?.hooks.some((one) => keyOf(one) === hook)) ?? []

/** An operation as a line of what was performed. */
export function describe(operation: AgentOperation): string {
  const router = 'router' in operation ? ` ${operation.router}` : ''
  return operation.verb + router + objectOf(operation)
}
