import { ageText } from '../base/age.ts'
import type { Instant } from '../base/instant.ts'
import { settleMs } from './duration.ts'
import type { Role, RoleHeld } from './role.ts'
import type { Router } from './router.ts'

/** What somebody outside says of a router, by a message: a reason to look, never evidence. */
export interface NotifierClaim {
  readonly state: Role
  readonly at: Instant
  /** Of the sender. */
  readonly uid: number
  readonly pid: number
  /** How often it says that it speaks. */
  readonly intervalMs: number | undefined
}

export interface Notifier {
  /** Its last word. */
  readonly claim: NotifierClaim
  /** When it was heard, of a word that was said before we knew the router, such as before the agent's start. */
  readonly heardLateAt: Instant | undefined
  /** When the first claim came that contradicts the role, of those that still do. */
  readonly disputedSince: Instant | undefined
}

/** Without a word for so many of its intervals, or of `intervalMs` where it names none, a claim is stale. */
const staleAfterIntervals = 3

export function isStale(claim: NotifierClaim, intervalMs: number, now: Instant): boolean {
  return now.monoMs - claim.at.monoMs > staleAfterIntervals * (claim.intervalMs ?? intervalMs)
}

/** Neutron's monitors look up to a second after the change, and then need some time to say so. */
export const silentAfterMs = 3000

/** What follows from the notifier's last word, for a person; and when it must be judged again. */
export interface Judgement {
  readonly disagrees?: string
  readonly silent?: string
  readonly lookAgainInMs?: number
}

/** The router with its notifier compared with the role. */
export function withDispute(router: Router): Router {
  const { notifier } = router
  if (notifier === undefined) return router
  const { claim, heardLateAt } = notifier
  const disputedSince = contradicts(router) ? (notifier.disputedSince ?? heardLateAt ?? claim.at) : undefined
  return disputedSince === notifier.disputedSince ? router : { ...router, notifier: { ...notifier, disputedSince } }
}

/**
 * Compare the notifier's last word with the role. A word said well after the role was taken contradicts it; an older one
 * speaks of the role before, and then a message is owed. One that was heard late has the same time as any other to be taken
 * back, counted from then.
 */
export function judgeNotifier(router: Router, now: Instant): Judgement {
  const difference = differenceOf(router)
  if (difference === undefined) return {}
  const { notifier, held, turned } = difference
  const { state, at, uid, pid } = notifier.claim
  const said = `notifier said ${state} ${ageText(now.monoMs - at.monoMs)} ago (uid ${String(uid)}, pid ${String(pid)})`
  const witness = held.role === 'fault' ? 'keepalived' : 'kernel'
  const shown = `${witness} says ${held.role} since ${ageText(now.monoMs - held.since.monoMs)}`
  if (notifier.disputedSince !== undefined) {
    const settledMs = notifier.disputedSince.monoMs + settleMs
    if (now.monoMs < settledMs) return { lookAgainInMs: settledMs - now.monoMs }
    return lookedAtMs(router) < settledMs ? {} : { disagrees: `${said}, ${shown}` }
  }
  // Not every notifier tells a fault from a backup: only a change from or to primary is owed.
  if (sameSide(state, held.role)) return {}
  const waitMs = Math.max(turned.monoMs, notifier.heardLateAt?.monoMs ?? 0) + silentAfterMs - now.monoMs
  if (waitMs > 0) return { lookAgainInMs: waitMs }
  return mustCheckNotifier(router, now) ? {} : { silent: `${said} and nothing since, ${shown}` }
}

/** The notifier's last word fits the role; undefined where nothing can be judged. */
export function notifierAgrees({ notifier, role }: Router): boolean | undefined {
  if (notifier === undefined || notifier.claim.state === 'unknown') return undefined
  if (role.kind !== 'held' || role.held.role === 'unknown') return undefined
  const { state } = notifier.claim
  // Neutron's monitors call backup whatever is not primary; who says fault knows the difference.
  return state === 'fault' ? role.held.role === 'fault' : sameSide(state, role.held.role)
}

/** The notifier contradicts the role, or was heard late and differs, and nobody has looked since that has settled. */
export function mustCheckNotifier(router: Router, now: Instant): boolean {
  const { notifier } = router
  const since = notifier?.disputedSince ?? (notifierAgrees(router) === false ? notifier?.heardLateAt : undefined)
  if (since === undefined) return false
  const settledMs = since.monoMs + settleMs
  return now.monoMs >= settledMs && lookedAtMs(router) < settledMs
}

interface Difference {
  readonly notifier: Notifier
  readonly held: RoleHeld
  /** Since when the notifier could know better. */
  readonly turned: Instant
}

function differenceOf(router: Router): Difference | undefined {
  const { notifier, role } = router
  if (notifier === undefined || role.kind !== 'held' || notifierAgrees(router) !== false) return undefined
  const { held } = role
  return { notifier, held, turned: sameSide(notifier.claim.state, held.role) ? held.since : held.turned }
}

function contradicts(router: Router): boolean {
  const difference = differenceOf(router)
  if (difference === undefined) return false
  return difference.notifier.claim.at.monoMs >= difference.turned.monoMs + settleMs
}

const sameSide = (a: Role, b: Role): boolean => (a === 'primary') === (b === 'primary')

/** The older of the looks at the kernel and, where it can be asked, at keepalived. */
function lookedAtMs({ kernel, process, answer }: Router): number {
  const kernelMs = kernel.kind === 'unseen' ? 0 : kernel.asOf.monoMs
  if (process.kind !== 'running' || process.childPid === undefined) return kernelMs
  return Math.min(kernelMs, answer.kind === 'none' ? 0 : answer.asOf.monoMs)
}
