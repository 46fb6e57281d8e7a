import { formatPrefix } from '../base/address.ts'
import { ageText } from '../base/age.ts'
import type { Instant } from '../base/instant.ts'
import { judgeAuthentication } from './authentication.ts'
import type { ConditionCode } from './condition.ts'
import { lastSaid } from './decide.ts'
import { settleMs } from './duration.ts'
import type { TableName } from './operation.ts'
import { judgeFlaps } from './flap.ts'
import { judgeHooks } from './hook.ts'
import { judgeNotifier } from './notifier.ts'
import { judgeReactions, judgeTied } from './reaction.ts'
import { shownRole, type Router } from './router.ts'
import type { RouterSpec, VirtualAddress } from './spec.ts'
import { judgeFilter, whyMissing } from './vrrp-filter.ts'

/** Answers and the kernel's view older than this are missing evidence. */
export const evidenceMaxAgeMs = 30_000

/** What is so now, by condition code, with the text for a person; and when it must be looked at again. */
export interface Diagnosis {
  readonly texts: ReadonlyMap<ConditionCode, string>
  readonly lookAgainInMs: number | undefined
}

/** Derive every condition of a router from its evidence; a condition is never set by hand. */
export function diagnose(router: Router, now: Instant): Diagnosis {
  const texts = new Map<ConditionCode, string>()
  const { wanted } = router
  if (wanted === undefined) return { texts, lookAgainInMs: undefined }
  const say = (code: ConditionCode, text: string | undefined) => {
    if (text !== undefined) texts.set(code, text)
  }
  say('address-without-keepalived', addressWithoutKeepalived(router, wanted))
  say('keepalived-restarting', restarting(router, now))
  say('keepalived-stalled', stalled(router, now))
  say('keepalived-tied', tied(router))
  say('evidence-missing', evidenceMissing(router, now))
  const defect = judgeDefect(router, now)
  say('router-defect', defect?.text)
  say('waiting-for-carrier', waitingForCarrier(router, wanted))
  say('interface-missing', interfaceMissing(router, wanted))
  const notifier = judgeNotifier(router, now)
  say('notifier-disagrees', notifier.disagrees)
  say('notifier-silent', notifier.silent)
  for (const [code, text] of [...judgeFilter(router, wanted, now), ...judgeAuthentication(wanted)]) say(code, text)
  say('nat-missing', tableMissing(router, 'nat'))
  say('flows-unfiltered', tableMissing(router, 'flows'))
  say('packet-filter-missing', tableMissing(router, 'operator'))
  say('reaction-failed', judgeReactions(router, shownRole(router)))
  say('reaction-tied', judgeTied(router))
  say('flapping', judgeFlaps(router.flaps, wanted.flaps))
  const hooks = judgeHooks(router, now)
  say('hook-failed', hooks.failed)
  say('hook-overflow', hooks.overflowed)
  say('config-refused', failed(router, true))
  say('operation-failed', failed(router, false))
  // keepalived moves several addresses and writes its lines one after the other: not yet settled is no condition.
  const settledInMs = router.marker.since.monoMs + settleMs - now.monoMs
  const differences = [
    ['kernel-disagrees', kernelDisagrees(router, wanted)],
    ['virtual-address-missing', addressesMissing(router, wanted)],
    ['virtual-address-leftover', addressesLeftOver(router, wanted)],
  ] as const
  if (settledInMs <= 0) for (const [code, text] of differences) say(code, text)
  const pending = settledInMs > 0 && differences.some(([, text]) => text !== undefined)
  // An answer given before things settled proves nothing; the core asks again at that moment.
  if (answeredTooEarly(router)) texts.delete('kernel-disagrees')
  return {
    texts,
    lookAgainInMs: soonest(
      soonest(pending ? settledInMs : undefined, defect?.endsInMs),
      soonest(notifier.lookAgainInMs, hooks.lookAgainInMs),
    ),
  }
}

function soonest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

function answeredTooEarly({ answer, marker }: Router): boolean {
  return answer.kind === 'said' && answer.asOf.monoMs < marker.since.monoMs + settleMs
}

function addressWithoutKeepalived(router: Router, wanted: RouterSpec): string | undefined {
  if (!router.marker.present || router.process.kind !== 'absent') return undefined
  return `${formatPrefix(wanted.marker)} is on ${wanted.haInterface}, and no keepalived lives`
}

function restarting({ process, supervision, work }: Router, now: Instant): string | undefined {
  if (process.kind === 'running' && (supervision.childReplaced || childless(process, now))) {
    return `the VRRP child of keepalived ${String(process.pid)} died and is being replaced by it`
  }
  if (process.kind !== 'absent' || supervision.deaths === 0) return undefined
  const doing = work.kind === 'performing' ? 'being started again' : 'to be started again'
  return `keepalived died${supervision.deaths > 1 ? ` ${String(supervision.deaths)} times in a row` : ''} and is ${doing}`
}

/** A keepalived that has just been started has not had its child yet. */
function childless({ childPid, startedAt }: Extract<Router['process'], { kind: 'running' }>, now: Instant): boolean {
  return childPid === undefined && now.monoMs - startedAt.monoMs > settleMs
}

function stalled({ process, answer }: Router, now: Instant): string | undefined {
  if (process.kind !== 'running') return undefined
  if (process.stopped) return `keepalived ${String(process.pid)} is stopped (state T)`
  if (answer.kind !== 'silent' || process.childPid === undefined) return undefined
  return `keepalived ${String(process.pid)} has not answered for ${ageText(now.monoMs - answer.since.monoMs)}: ${answer.why}`
}

function tied({ process }: Router): string | undefined {
  if (process.kind !== 'running' || !process.tied) return undefined
  return `keepalived ${String(process.pid)} would end with the agent's service`
}

function evidenceMissing({ kernel, process, settings, work, lookFailure }: Router, now: Instant): string | undefined {
  if (lookFailure !== undefined) return lookFailure
  if (kernel.kind === 'absent')
    return work.kind === 'performing' || settings.kind === 'unseen' ? undefined : kernel.reason
  if (kernel.kind === 'present' && now.monoMs - kernel.asOf.monoMs > evidenceMaxAgeMs) {
    return `the kernel was last asked ${ageText(now.monoMs - kernel.asOf.monoMs)} ago`
  }
  if (process.kind === 'running' && now.monoMs - process.asOf.monoMs > evidenceMaxAgeMs) {
    return `keepalived was last looked at ${ageText(now.monoMs - process.asOf.monoMs)} ago`
  }
  return undefined
}

/** Whether it happens again shows within some passes. */
const defectShownMs = 60_000

function judgeDefect(
  { defect }: Router,
  now: Instant,
): { readonly text: string; readonly endsInMs: number } | undefined {
  if (defect === undefined) return undefined
  const endsInMs = defect.at.monoMs + defectShownMs - now.monoMs
  return endsInMs > 0 ? { text: defect.text, endsInMs } : undefined
}

function waitingForCarrier({ kernel, process }: Router, wanted: RouterSpec): string | undefined {
  if (kernel.kind !== 'present' || process.kind !== 'absent') return undefined
  const link = kernel.interfaces.get(wanted.haInterface)
  if (link === undefined || (link.up && link.carrier)) return undefined
  return `${wanted.haInterface} has no carrier`
}

function interfaceMissing({ kernel }: Router, wanted: RouterSpec): string | undefined {
  if (kernel.kind !== 'present') return undefined
  const missing = wanted.interfaces.filter((one) => one.attach.kind === 'existing' && !kernel.interfaces.has(one.name))
  return missing.length === 0
    ? undefined
    : `${missing.map((one) => one.name).join(', ')} not in namespace ${wanted.namespace}`
}

function tableMissing({ settings }: Router, table: TableName): string | undefined {
  const evidence = settings.kind === 'seen' ? settings.tables[table] : undefined
  return evidence?.kind === 'missing' ? whyMissing(evidence) : undefined
}

/** Tries of the same list that end well without effect before that is worth a condition. */
const triesWithoutEffect = 3

function failed({ work }: Router, refusals: boolean): string | undefined {
  const { last } = work
  if (last === undefined) return undefined
  if (last.failure !== undefined) {
    return refusalCodes.includes(last.failure.code) === refusals ? last.failure.text : undefined
  }
  return !refusals && last.tries >= triesWithoutEffect
    ? `no effect after ${String(last.tries)} tries: ${last.steps}`
    : undefined
}

/** What ends only when the config, a secret or the installed keepalived is another. */
const refusalCodes = ['keepalived-refused-config', 'config-invalid', 'key-invalid']

function kernelDisagrees(router: Router, wanted: RouterSpec): string | undefined {
  const { answer, marker, process } = router
  if (process.kind !== 'running' || answer.kind !== 'said' || router.kernel.kind !== 'present') return undefined
  if ((answer.says === 'primary') === marker.present) return undefined
  return `keepalived says ${answer.says}, but ${formatPrefix(wanted.marker)} is ${marker.present ? '' : 'not '}on ${wanted.haInterface}`
}

function addressesMissing(router: Router, wanted: RouterSpec): string | undefined {
  if (!router.marker.present || lastSaid(router.answer) !== 'primary') return undefined
  const missing = wanted.virtualAddresses.filter((address) => !holds(router, address))
  return list(missing, 'missing from')
}

function addressesLeftOver(router: Router, wanted: RouterSpec): string | undefined {
  if (router.marker.present) return undefined
  return list(
    wanted.virtualAddresses.filter((address) => holds(router, address)),
    'still on',
  )
}

function holds({ kernel }: Router, wanted: VirtualAddress): boolean {
  if (kernel.kind !== 'present') return false
  return kernel.interfaces.get(wanted.interface)?.addresses.some((held) => held.address === wanted.address) ?? false
}

function list(addresses: readonly VirtualAddress[], where: string): string | undefined {
  const shown = addresses.slice(0, 5).map((address) => `${formatPrefix(address)} ${where} ${address.interface}`)
  const more = addresses.length - shown.length
  return shown.length === 0 ? undefined : shown.join(', ') + (more > 0 ? ` and ${String(more)} more` : '')
}
