import type { Instant } from '../base/instant.ts'
import { formatPrefix } from '../base/address.ts'
import type { Journal } from '../journal/journal.ts'
import { conditions, type Raised, type RaisedCondition } from '../router/condition.ts'
import { evidenceMaxAgeMs } from '../router/diagnose.ts'
import { isStale } from '../router/notifier.ts'
import { heldUntilMonoMs } from '../router/flap.ts'
import { keyOf } from '../router/hook.ts'
import { plan } from '../router/plan.ts'
import { wantedReactions, type Reaction } from '../router/reaction.ts'
import { shownRole, type Router } from '../router/router.ts'
import type { AgentStatus, ClaimView, ConditionView, Explanation, RouterStatus } from './api.ts'

/** A router as the API shows it. `recorded`: the journal has its last transition on disk. */
export function viewRouter(router: Router, recorded: boolean, now: Instant): RouterStatus {
  const held = router.role.kind === 'held' ? router.role.held : undefined
  const since = held?.since ?? (router.role.kind === 'undecided' ? router.role.since : now)
  const asOf = router.kernel.kind === 'unseen' ? undefined : router.kernel.asOf
  const ageMs = asOf === undefined ? now.monoMs - since.monoMs : now.monoMs - asOf.monoMs
  return {
    id: router.id,
    role: shownRole(router),
    sinceMs: since.wallMs,
    heldMs: Math.round(now.monoMs - since.monoMs),
    asOfMs: asOf?.wallMs ?? since.wallMs,
    ageMs: Math.round(ageMs),
    stale: ageMs > evidenceMaxAgeMs,
    recorded,
    cause: held?.cause.text ?? 'not enough has been seen yet',
    vrid: router.wanted?.vrid ?? 0,
    priority: router.wanted?.priority ?? 0,
    namespace: router.wanted?.namespace ?? '',
    conditions: viewConditions(router.raised),
  }
}

export function viewConditions(raised: Raised): ConditionView[] {
  return [...raised.values()].map(viewCondition)
}

function viewCondition({ code, since, text }: RaisedCondition): ConditionView {
  const { severity, title, hint } = conditions[code]
  return { code, severity, text, title, hint, sinceMs: since.wallMs }
}

/**
 * What notifiers say of routers that only they can see: the `unmatched`, which are not known here, and those of `routers` of which
 * the kernel shows nothing fresh. `intervalMs`: how often a notifier speaks that does not say it.
 */
export function viewClaims(
  unmatched: readonly ClaimView[],
  routers: readonly Router[],
  intervalMs: number,
  now: Instant,
): AgentStatus['claims'] {
  const unseen = routers.flatMap((router) => {
    const { id, wanted, notifier } = router
    if (wanted === undefined || notifier === undefined || isSeen(router, now)) return []
    const { state, uid, pid, at } = notifier.claim
    const ageMs = Math.round(now.monoMs - at.monoMs)
    const stale = isStale(notifier.claim, intervalMs, now)
    return [{ router: id, state, uid, pid, atMs: at.wallMs, ageMs, stale, known: true }]
  })
  return [...unseen, ...unmatched.map((one) => ({ ...one, known: false }))].toSorted((a, b) => b.ageMs - a.ageMs)
}

const isSeen = ({ kernel }: Router, now: Instant): boolean =>
  kernel.kind === 'present' && now.monoMs - kernel.asOf.monoMs <= evidenceMaxAgeMs

export function viewJournal(status: Journal['status']): AgentStatus['journal'] {
  const { kind, durableSeq, pending, lost, retainedFromSeq, sizeBytes } = status
  const reason = status.kind === 'ok' ? {} : { reason: status.reason }
  return { state: kind, durableSeq, pending, lost, retainedFromSeq, sizeBytes, ...reason }
}

/** One word for the whole: the worst of what is raised; a role nobody can see is `unknown`. */
export function overallHealth(
  agent: readonly ConditionView[],
  routers: readonly RouterStatus[],
): AgentStatus['health'] {
  const all = [...agent, ...routers.flatMap((router) => router.conditions)]
  if (all.some((one) => one.severity === 'critical')) return 'critical'
  if (routers.some((router) => router.stale || router.role === 'unknown')) return 'unknown'
  if (all.some((one) => one.severity === 'warning') || routers.some((router) => router.role === 'fault'))
    return 'degraded'
  return 'healthy'
}

/** The evidence behind a role, each with its age. `intervalMs`: as for {@link viewClaims}. */
export function explainRouter(
  router: Router,
  intervalMs: number,
  now: Instant,
): Pick<Explanation, 'evidence' | 'waiting'> {
  return {
    evidence: [
      ...kernelEvidence(router, now),
      ...keepalivedEvidence(router, now),
      ...notifierEvidence(router, intervalMs, now),
      ...configEvidence(router, now),
      ...reactionEvidence(router, now),
      ...hookEvidence(router, now),
    ],
    waiting: plan(router, now.monoMs).waiting.map(({ step, reason }) => ({ step: step.text, reason })),
  }
}

type Found = Explanation['evidence'][number]

function found(what: string, text: string, asOf: Instant | undefined, now: Instant): Found {
  return asOf === undefined
    ? { what, found: text }
    : { what, found: text, asOfMs: asOf.wallMs, ageMs: Math.round(now.monoMs - asOf.monoMs) }
}

function kernelEvidence({ kernel, marker, wanted }: Router, now: Instant): Found[] {
  if (kernel.kind === 'unseen') return [found('kernel', 'not looked at yet', undefined, now)]
  if (kernel.kind === 'absent') return [found('kernel', kernel.reason, kernel.asOf, now)]
  const text =
    wanted === undefined
      ? 'no marker wanted'
      : `${formatPrefix(wanted.marker)} is ${marker.present ? '' : 'not '}on ${wanted.haInterface}`
  const links = [...kernel.interfaces].filter(([name]) => name !== 'lo')
  return [
    found('kernel: marker', text, kernel.asOf, now),
    ...links.map(([name, link]) => {
      const state = link.up ? (link.carrier ? 'up' : 'up, no carrier') : 'down'
      const addresses = link.addresses.map(formatPrefix).join(' ')
      return found(`kernel: ${name}`, `${state}${addresses === '' ? '' : `, ${addresses}`}`, kernel.asOf, now)
    }),
  ]
}

function keepalivedEvidence({ process, answer }: Router, now: Instant): Found[] {
  const asOf = process.kind === 'unseen' ? undefined : process.asOf
  const alive =
    process.kind === 'running'
      ? `pid ${String(process.pid)}, VRRP child ${String(process.childPid ?? 'being replaced')}${process.stopped ? ', stopped' : ''}`
      : process.kind === 'absent'
        ? 'does not run'
        : 'not looked at yet'
  const said =
    answer.kind === 'said'
      ? `${answer.says}, priority ${String(answer.priority)}`
      : answer.kind === 'silent'
        ? `no answer; before that: ${answer.before ?? 'nothing'}`
        : 'not asked yet'
  return [
    found('keepalived: process', alive, asOf, now),
    found('keepalived: says', said, answer.kind === 'none' ? undefined : answer.asOf, now),
  ]
}

function notifierEvidence({ notifier }: Router, intervalMs: number, now: Instant): Found[] {
  if (notifier === undefined) return []
  const { state, uid, pid, at } = notifier.claim
  const stale = isStale(notifier.claim, intervalMs, now) ? ', stale' : ''
  return [found('notifier: says', `${state}${stale} (uid ${String(uid)}, pid ${String(pid)})`, at, now)]
}

function configEvidence({ settings, process }: Router, now: Instant): Found[] {
  if (settings.kind === 'unseen') return [found('config', 'not compared yet', undefined, now)]
  const short = (digest: string | undefined) => digest?.slice(0, 12) ?? 'none'
  const loaded = process.kind === 'running' ? `, loaded ${short(process.loadedDigest)}` : ''
  const text = `wanted ${short(settings.wantedDigest)}, written ${short(settings.writtenDigest)}${loaded}`
  return [found('config', text, settings.asOf, now)]
}

/** What follows the role, and how far it has come. */
function reactionEvidence({ wanted, reactions: { all, underWay } }: Router, now: Instant): Found[] {
  const names = wanted === undefined ? [] : wantedReactions(wanted)
  // One that was let go for good is no news.
  const shown = [...all].filter(([reaction, { is }]) => names.includes(reaction) || is !== 'both')
  return shown.map(([reaction, { is, last }]) => {
    if (underWay?.reaction === reaction)
      return found(`follows: ${reaction}`, `on its way to ${underWay.stance}`, underWay.since, now)
    return found(`follows: ${reaction}`, followText({ is, last }), last?.endedAt, now)
  })
}

function followText({ is, last }: Reaction): string {
  const stance = is === 'both' ? 'right for every role' : is
  if (last?.failure !== undefined)
    return `${is === 'neither' ? '' : `${stance}; `}failed as ${last.stance}: ${last.failure.text}`
  if (is !== 'neither') return last === undefined ? stance : `${stance}, took ${String(Math.round(last.tookMs))} ms`
  if (last?.lastWords === undefined) return 'not as the config wants it, in any role'
  return `died as ${last.stance}${last.lastWords === '' ? '' : `: ${last.lastWords}`}`
}

/** What hooks heard, and what waits for them. */
function hookEvidence({ wanted, hooks, flaps }: Router, now: Instant): Found[] {
  const all = (wanted?.hooks ?? []).map((hook) => {
    const key = keyOf(hook)
    const what = `hook: ${hook.program}`
    if (hooks.underWay?.key === key) return found(what, `hears ${hooks.underWay.news.role}`, hooks.underWay.since, now)
    const [heard, last] = [hooks.heard?.get(key), hooks.last.get(key)]
    const took = last?.failure === undefined && last !== undefined ? `, took ${String(Math.round(last.tookMs))} ms` : ''
    const failed = last?.failure === undefined ? '' : `; ${last.role}: ${last.failure.text}`
    return found(what, `heard ${heard?.role ?? 'nothing yet'}${took}${failed}`, last?.endedAt, now)
  })
  if (hooks.waiting.length === 0) return all
  const held = heldUntilMonoMs(flaps)
  const why =
    held === undefined
      ? ''
      : `, held back while the role flaps, for ${String(Math.ceil(Math.max(0, held - now.monoMs) / 1000))} s at most`
  return [...all, found('hooks: waiting', hooks.waiting.map(({ news }) => news.role).join(', ') + why, undefined, now)]
}
