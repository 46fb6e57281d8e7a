import type { Instant } from '../base/instant.ts'
import { compareConditions } from './condition.ts'
import { decideRole, explainChange, lastSaid, markerPresent } from './decide.ts'
import { diagnose } from './diagnose.ts'
import type { RouterEffect } from './effect.ts'
import type { RouterEvent } from './event.ts'
import type { KernelEvidence } from './evidence.ts'
import { nextFlapMonoMs } from './flap.ts'
import { follow, tellHooks, withFlaps } from './follow.ts'
import { childless, hints } from './hints.ts'
import { absorbHeard, absorbHookEnd, absorbNews, nextHook, reconsiderHooks } from './hook.ts'
import { withDispute, type NotifierClaim } from './notifier.ts'
import type { Outcome, RouterOperation } from './operation.ts'
import { plan, wishOf } from './plan.ts'
import { absorbDeath, absorbLook, absorbRun, nextRun, reconsiderReactions } from './reaction.ts'
import type { Cause, Role } from './role.ts'
import { shownRole, type LastWork, type Router, type Work } from './router.ts'

/** A keepalived that lived for this long has not "died in a row". */
const provenAliveMs = 60_000
const firstBackoffMs = 1000
const maxBackoffMs = 30_000
/** keepalived replaces its VRRP child within some 10 ms; until then we look again so often. */
const childlessLookMs = 250

export interface Stepped {
  readonly router: Router
  readonly effects: readonly RouterEffect[]
}

/**
 * The whole behaviour of a router: take the event in, decide the role from the evidence, name the conditions, and plan
 * what is to be done. Pure: the same router, event and moment always give the same answer.
 */
export function step(router: Router, event: RouterEvent, now: Instant): Stepped {
  const effects: RouterEffect[] = []
  const absorbed = absorb(router, event, now)
  effects.push(...hints(router, absorbed, event, now))
  const decided = withDispute(settleRole(absorbed, event, now, effects))
  const planned = tellHooks(
    follow(converge(withFlaps(decided, effects, now), now, effects), now, effects),
    now,
    effects,
  )
  const diagnosis = diagnose(planned, now)
  const { raised, changes } = compareConditions(planned.raised, diagnosis.texts, now)
  for (const change of changes) effects.push({ type: 'record-condition', change })
  const next: Router = { ...planned, raised }
  const wakeAtMs = nextWake(next, now, diagnosis.lookAgainInMs)
  if (wakeAtMs !== undefined) effects.push({ type: 'wake', afterMs: wakeAtMs })
  return { router: next, effects }
}

/** The event as evidence: nothing is decided here. */
function absorb(router: Router, event: RouterEvent, now: Instant): Router {
  switch (event.type) {
    case 'wanted':
      return withMarker(
        {
          ...router,
          wanted: event.spec,
          settings: { kind: 'unseen' },
          work: reconsider(router.work),
          hooks: reconsiderHooks(router.hooks),
          reactions: reconsiderReactions(router.reactions),
        },
        now,
      )
    case 'kernel':
      return withMarker({ ...router, ...processesOf(router, event.evidence), kernel: event.evidence }, now)
    case 'process':
      return absorbProcess(router, event.evidence, now)
    case 'settings':
      return absorbSettings(router, event.evidence)
    case 'reacted':
      return { ...router, reactions: absorbRun(router.reactions, event.number, event.outcome, now) }
    case 'service-ended':
      return { ...router, reactions: absorbDeath(router.reactions, event.reaction, event.lastWords, now) }
    case 'recorded':
      return { ...router, hooks: absorbNews(router.hooks, event.news, router.wanted?.hooks ?? [], now) }
    case 'hook-ended':
      return { ...router, hooks: absorbHookEnd(router.hooks, event.number, event.outcome, now) }
    case 'look-failed':
      return { ...router, lookFailure: event.text }
    case 'answer':
      return absorbAnswer(router, event.evidence)
    case 'claimed':
      return absorbClaim(router, event.claim, now)
    case 'performed':
      return absorbOutcome(router, event.operation, event.outcome, now)
    case 'defect':
      return { ...router, defect: { text: event.text, at: now } }
    case 'notified':
    case 'recheck':
    case 'woken':
      return router
  }
}

/**
 * A namespace that ended took its processes along: what was seen of them says nothing about the one that is made in its
 * place. They are looked at again (see `hints`).
 */
function processesOf(router: Router, evidence: KernelEvidence): Partial<Pick<Router, 'process' | 'answer'>> {
  const lost = router.kernel.kind === 'present' && evidence.kind === 'absent'
  return lost ? { process: { kind: 'unseen' }, answer: { kind: 'none' } } : {}
}

function absorbSettings(router: Router, evidence: Router['settings']): Router {
  const seen = { ...router, settings: evidence, lookFailure: undefined }
  if (evidence.kind !== 'seen') return seen
  return {
    ...seen,
    reactions: absorbLook(router.reactions, evidence.reactions),
    hooks: absorbHeard(router.hooks, evidence.hooks),
  }
}

/** A new wish deserves a new try, whatever failed before. */
const reconsider = (work: Work): Work => ({ ...work, last: undefined })

function withMarker(router: Router, now: Instant): Router {
  const present = markerPresent(router.wanted, router.kernel)
  return present === router.marker.present ? router : { ...router, marker: { present, since: now } }
}

function absorbProcess(router: Router, evidence: Router['process'], now: Instant): Router {
  const before = router.process
  const died = before.kind === 'running' && evidence.kind === 'absent'
  const replaced = evidence.kind === 'running' && before.kind === 'running' && evidence.pid !== before.pid
  const answer = died || replaced ? ({ kind: 'none' } as const) : router.answer
  const childReplaced = evidence.kind === 'running' && (router.supervision.childReplaced || childDied(before, evidence))
  const supervised = { ...router.supervision, childReplaced }
  if (!died) return { ...router, process: evidence, answer, supervision: supervised }
  const deaths = now.monoMs - before.startedAt.monoMs > provenAliveMs ? 1 : router.supervision.deaths + 1
  // The first restart is immediate; a keepalived that dies again and again is started ever more slowly.
  const waitMs = deaths === 1 ? 0 : backoffMs(deaths - 1)
  const supervision = { ...supervised, deaths, startNotBeforeMonoMs: now.monoMs + waitMs }
  return { ...router, process: evidence, answer, supervision }
}

/** keepalived replaces it sooner than we look: seen by its pid alone. */
function childDied(before: Router['process'], evidence: Extract<Router['process'], { kind: 'running' }>): boolean {
  if (before.kind !== 'running' || before.pid !== evidence.pid) return false
  return before.childPid !== undefined && before.childPid !== evidence.childPid
}

function absorbAnswer(router: Router, evidence: Exclude<Router['answer'], { kind: 'none' }>): Router {
  if (evidence.kind === 'said') {
    return { ...router, answer: evidence, supervision: { ...router.supervision, childReplaced: false } }
  }
  const since = router.answer.kind === 'silent' ? router.answer.since : evidence.since
  return { ...router, answer: { ...evidence, since, before: lastSaid(router.answer) } }
}

/** One that was kept, or waited with others, comes late: the newest stays. */
function absorbClaim(router: Router, claim: NotifierClaim, now: Instant): Router {
  const known = router.notifier
  if (known !== undefined && known.claim.at.monoMs > claim.at.monoMs) return router
  const heardLateAt = claim.at.monoMs < router.knownSince.monoMs ? now : undefined
  return { ...router, notifier: { claim, heardLateAt, disputedSince: known?.disputedSince } }
}

function absorbOutcome(router: Router, operation: RouterOperation, outcome: Outcome, now: Instant): Router {
  const { work } = router
  if (work.kind !== 'performing') return router
  const begins = operation.verb === 'reload-keepalived' || operation.verb === 'start-keepalived'
  const lastReloadMonoMs = begins ? now.monoMs : router.supervision.lastReloadMonoMs
  const supervision = { ...router.supervision, lastReloadMonoMs }
  const ended = !outcome.ok || work.steps.at(-1)?.operation === operation
  if (!ended) return { ...router, supervision }
  const { wish } = work
  const failure = outcome.ok ? undefined : { code: outcome.code, text: outcome.text }
  const again = work.last !== undefined && (failure !== undefined || work.last.wish === wish)
  const tries = again ? work.last.tries + 1 : 1
  const steps = work.steps.map((one) => one.text).join('; ')
  const last: LastWork = { failure, steps, wish, tries, notBeforeMonoMs: now.monoMs + backoffMs(tries) }
  return { ...router, supervision, work: { kind: 'idle', last } }
}

/** Decide the role from the evidence; a change is a transition to be recorded. */
function settleRole(router: Router, event: RouterEvent, now: Instant, effects: RouterEffect[]): Router {
  const to = decideRole(router)
  if (to === undefined) return router
  if (router.role.kind === 'undecided') return firstRole(router, to, now, effects)
  const { held } = router.role
  if (held.role === to) return router
  const cause = explainChange(router, to, witness(event))
  const lastedMs = now.monoMs - held.since.monoMs
  effects.push({ type: 'record-transition', transition: { from: held.role, to, at: now, lastedMs, cause } })
  const turned = (held.role === 'primary') === (to === 'primary') ? held.turned : now
  return { ...router, role: { kind: 'held', held: { role: to, since: now, turned, cause } } }
}

/** The first decision after the agent's start: a role that still is what the journal says is no transition. */
function firstRole(router: Router, to: Role, now: Instant, effects: RouterEffect[]): Router {
  const recorded = router.role.kind === 'undecided' ? router.role.recorded : undefined
  const before = recorded?.sameBoot === true ? recorded : undefined
  const from = before?.role ?? 'unknown'
  if (before !== undefined && from === to) {
    const cause: Cause = { kind: 'start', text: 'the agent found it so at its start' }
    const { since } = before
    return { ...router, role: { kind: 'held', held: { role: to, since, turned: since, cause } } }
  }
  const cause = explainChange(router, to, 'start')
  // What was not told of before is not so any more.
  const hooks = from === to ? router.hooks : { ...router.hooks, waiting: [] }
  if (from !== to) {
    const lastedMs = before === undefined ? undefined : now.monoMs - before.since.monoMs
    effects.push({ type: 'record-transition', transition: { from, to, at: now, lastedMs, cause } })
  }
  return { ...router, hooks, role: { kind: 'held', held: { role: to, since: now, turned: now, cause } } }
}

function witness(event: RouterEvent): Cause['kind'] {
  switch (event.type) {
    case 'kernel':
      return event.from === 'watch' ? 'kernel' : 'recheck'
    case 'answer':
    case 'process':
    case 'notified':
      return 'keepalived'
    case 'wanted':
    case 'performed':
      return 'operator'
    case 'settings':
    case 'look-failed':
    case 'claimed':
    case 'reacted':
    case 'service-ended':
    case 'recorded':
    case 'hook-ended':
    case 'defect':
    case 'recheck':
    case 'woken':
      return 'recheck'
  }
}

/** Ask for what the plan wants next, unless something is under way or has just failed. */
function converge(router: Router, now: Instant, effects: RouterEffect[]): Router {
  const { work } = router
  if (work.kind === 'performing') return router
  const planned = plan(router, now.monoMs)
  const { steps } = planned
  if (steps.length === 0)
    return work.last === undefined ? router : { ...router, work: { kind: 'idle', last: undefined } }
  const wish = wishOf(planned)
  if (mustWait(work.last, wish, now)) return router
  effects.push({ type: 'perform', steps })
  return { ...router, work: { kind: 'performing', steps, wish, last: work.last } }
}

function mustWait(last: LastWork | undefined, wish: string, now: Instant): boolean {
  if (last === undefined || now.monoMs >= last.notBeforeMonoMs) return false
  return last.failure !== undefined || last.wish === wish
}

const backoffMs = (tries: number): number => Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(tries - 1, 10))

/** The soonest moment at which time alone changes something. */
function nextWake(router: Router, now: Instant, lookAgainInMs: number | undefined): number | undefined {
  const moments = lookAgainInMs === undefined ? [] : [lookAgainInMs]
  if (childless(router)) moments.push(childlessLookMs)
  const { wanted, flaps, work } = router
  const untilMonoMs = [
    nextRun(router, shownRole(router), now).waitUntilMonoMs,
    nextHook(router, now).waitUntilMonoMs,
    wanted && nextFlapMonoMs(flaps, wanted.flaps),
  ]
  for (const until of untilMonoMs) if (until !== undefined) moments.push(until - now.monoMs)
  if (work.kind === 'idle') {
    const { steps, waiting } = plan(router, now.monoMs)
    if (steps.length > 0 && work.last !== undefined) moments.push(work.last.notBeforeMonoMs - now.monoMs)
    for (const { untilMonoMs } of waiting) {
      if (untilMonoMs !== undefined) moments.push(untilMonoMs - now.monoMs)
    }
  }
  return moments.length === 0 ? undefined : Math.max(1, Math.min(...moments))
}
