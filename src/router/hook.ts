import type { Instant } from '../base/instant.ts'
import { heldUntilMonoMs } from './flap.ts'
import type { Outcome } from './operation.ts'
import type { Cause, Role } from './role.ts'
import type { Router } from './router.ts'
import { hookRoles, type Hook, type HookRole } from './spec.ts'

/** A change of role that is on the disk, as hooks hear of it. */
export interface News {
  readonly role: Role
  readonly previous: Role
  /** Of its record in the journal. */
  readonly sequence: number
  /** Unix time. */
  readonly atMs: number
  readonly cause: Cause['kind']
}

/** Of a role that hooks may hear of. */
type HookNews = News & { readonly role: HookRole }

/** What a hook heard last, and took well. */
export interface Heard {
  readonly role: HookRole
  readonly sequence: number
}

/** As the root half keeps it. */
export interface HeardEvidence extends Heard {
  readonly hook: HookKey
}

declare const hookKeyBrand: unique symbol
/** Tells a hook from every other, and from what it was before somebody altered the config; made by {@link keyOf} only. */
export type HookKey = string & { readonly [hookKeyBrand]: true }

export const keyOf = (hook: Hook): HookKey =>
  JSON.stringify([hook.program, hook.args, hook.user, hook.namespace]) as HookKey

/** The hooks of one router. One runs at a time; each hears the news in their order. */
export interface Hooks {
  /** Undefined: nobody has looked. */
  readonly heard: ReadonlyMap<HookKey, Heard> | undefined
  /** Oldest first. */
  readonly waiting: readonly WaitingNews[]
  readonly underWay: HookRun | undefined
  /** The run of each that ended last. */
  readonly last: ReadonlyMap<HookKey, LastHookRun>
  /** Of all runs that there were. */
  readonly runs: number
  /** What never was told: there was no room for more, or the role was flapping. */
  readonly dropped: number
  readonly overflowedAt: Instant | undefined
  readonly coalesced: number
}

interface WaitingNews {
  readonly news: HookNews
  /** Who is to hear it yet. */
  readonly listeners: readonly HookKey[]
}

export interface HookRun {
  readonly number: number
  readonly key: HookKey
  /** Its place in the config. */
  readonly hook: number
  readonly news: HookNews
  readonly since: Instant
}

export interface LastHookRun {
  readonly sequence: number
  readonly role: HookRole
  readonly failure: { readonly code: string; readonly text: string } | undefined
  /** Of the same news. */
  readonly tries: number
  readonly endedAt: Instant
  readonly tookMs: number
}

export const noHooks: Hooks = {
  heard: undefined,
  waiting: [],
  underWay: undefined,
  last: new Map(),
  runs: 0,
  dropped: 0,
  overflowedAt: undefined,
  coalesced: 0,
}

export const maxNewsWaiting = 16
/** A hook that fails is run again for the newest news that it listens to alone, and no more often than this. */
const maxTries = 5
const firstBackoffMs = 1000
const maxBackoffMs = 30_000
/** It was not run: that says nothing of it, and it is tried for as long as it takes. */
const notRunCodes: readonly string[] = [
  ...['host-unreachable', 'host-failed', 'resources-exhausted', 'namespace-missing', 'namespace-failed'],
  // What was run for it, to ask who its user is.
  ...['command-failed', 'command-missing', 'command-timeout'],
]
const overflowShownMs = 60_000

/** What hooks heard, as the root half knows it; what was seen since is newer than any look. */
export function absorbHeard(hooks: Hooks, found: readonly HeardEvidence[]): Hooks {
  if (hooks.heard !== undefined) return hooks
  return { ...hooks, heard: new Map(found.map(({ hook, role, sequence }) => [hook, { role, sequence }])) }
}

/**
 * A change of role is on the disk, and waits for those who listen to it. That the newest one is told again changes nothing: who has heard it does
 * not hear it twice.
 */
export function absorbNews(hooks: Hooks, news: News, declared: readonly Hook[], now: Instant): Hooks {
  const role = hookRoles.find((one) => one === news.role)
  if (role === undefined) return hooks
  const listeners = declared.filter(({ on }) => on.includes(role)).map(keyOf)
  if (listeners.length === 0) return hooks
  const others = hooks.waiting.filter((one) => one.news.sequence !== news.sequence)
  const waiting = [...others, { news: { ...news, role }, listeners }]
  if (waiting.length <= maxNewsWaiting) return { ...hooks, waiting }
  return { ...hooks, waiting: waiting.slice(1), dropped: hooks.dropped + 1, overflowedAt: now }
}

/** A run ended. */
export function absorbHookEnd(hooks: Hooks, number: number, outcome: Outcome, now: Instant): Hooks {
  const run = hooks.underWay
  if (run?.number !== number) return hooks
  const { key, news, since } = run
  const before = hooks.last.get(key)
  const last: LastHookRun = {
    sequence: news.sequence,
    role: news.role,
    failure: outcome.ok ? undefined : { code: outcome.code, text: outcome.text },
    tries: before?.sequence === news.sequence ? before.tries + 1 : 1,
    endedAt: now,
    tookMs: now.monoMs - since.monoMs,
  }
  const heard = outcome.ok ? new Map(hooks.heard).set(key, { role: news.role, sequence: news.sequence }) : hooks.heard
  return { ...hooks, heard, underWay: undefined, last: new Map(hooks.last).set(key, last) }
}

/** A new wish deserves a new try. */
export function reconsiderHooks(hooks: Hooks): Hooks {
  return { ...hooks, last: new Map([...hooks.last].filter(([, { failure }]) => failure === undefined)) }
}

/**
 * Drop the news that is to be told no more: what all have heard, or will not hear; and, while the role flaps, all but the newest for each. Then what
 * is to be run, if anything, and when time alone allows more.
 */
export function nextHook(
  router: Router,
  now: Instant,
): { readonly hooks: Hooks; readonly run?: HookRun; readonly waitUntilMonoMs?: number | undefined } {
  const { wanted, flaps, role } = router
  const declared = wanted?.hooks ?? []
  const hooks = withoutPast(router.hooks, declared)
  if (hooks.waiting.length === 0) return { hooks }
  const heldUntil = heldUntilMonoMs(flaps)
  if (heldUntil !== undefined && heldUntil > now.monoMs) return { hooks: newestOnly(hooks), waitUntilMonoMs: heldUntil }
  // What an earlier run of the agent wrote down may not be so any more.
  if (hooks.heard === undefined || hooks.underWay !== undefined || role.kind === 'undecided') return { hooks }
  let waitUntilMonoMs = Infinity
  for (const { news, listeners } of hooks.waiting) {
    for (const [place, hook] of declared.entries()) {
      const key = keyOf(hook)
      if (!listeners.includes(key)) continue
      const fromMonoMs = notBeforeMonoMs(hooks.last.get(key), news)
      if (fromMonoMs <= now.monoMs)
        return { hooks, run: { number: hooks.runs + 1, key, hook: place, news, since: now } }
      waitUntilMonoMs = Math.min(waitUntilMonoMs, fromMonoMs)
    }
  }
  return { hooks, waitUntilMonoMs }
}

/** What is wrong with them, for a person. */
export function judgeHooks(
  { hooks, wanted }: Router,
  now: Instant,
): {
  readonly failed: string | undefined
  readonly overflowed: string | undefined
  readonly lookAgainInMs: number | undefined
} {
  const failed = (wanted?.hooks ?? []).flatMap((hook) => {
    const last = hooks.last.get(keyOf(hook))
    if (last?.failure === undefined) return []
    return [
      `${hook.program} on ${last.role}: ${last.failure.text}${last.tries > 1 ? ` (${String(last.tries)} times in a row)` : ''}`,
    ]
  })
  const shownMs = hooks.overflowedAt === undefined ? 0 : hooks.overflowedAt.monoMs + overflowShownMs - now.monoMs
  return {
    failed: failed.length === 0 ? undefined : failed.join('; '),
    overflowed:
      shownMs > 0 ? `${String(hooks.dropped)} changes of role were not told to hooks, the oldest first` : undefined,
    lookAgainInMs: shownMs > 0 ? shownMs : undefined,
  }
}

/** What a hook has heard is past for it, and what it failed for once there is newer. */
function withoutPast(hooks: Hooks, declared: readonly Hook[]): Hooks {
  if (hooks.waiting.length === 0) return hooks
  const listening = new Map(declared.map((hook) => [keyOf(hook), hook.on]))
  const waiting = keep(hooks.waiting, (key, { role, sequence }, isNewest) => {
    const heard = hooks.heard?.get(key)
    if (listening.get(key)?.includes(role) !== true || (heard?.sequence === sequence && heard.role === role))
      return false
    const last = hooks.last.get(key)
    return last?.sequence !== sequence || (isNewest && !isGivenUp(last))
  })
  return { ...hooks, waiting }
}

function newestOnly(hooks: Hooks): Hooks {
  const waiting = keep(hooks.waiting, (_key, _news, isNewest) => isNewest)
  return { ...hooks, waiting, coalesced: hooks.coalesced + hooks.waiting.length - waiting.length }
}

/** `isNewest`: for that listener. */
function keep(
  waiting: readonly WaitingNews[],
  isToHear: (key: HookKey, news: HookNews, isNewest: boolean) => boolean,
): readonly WaitingNews[] {
  const kept: WaitingNews[] = []
  for (const { news, listeners } of waiting.toReversed()) {
    const left = listeners.filter((key) => isToHear(key, news, !kept.some((newer) => newer.listeners.includes(key))))
    if (left.length > 0) kept.unshift({ news, listeners: left })
  }
  return kept
}

const isGivenUp = ({ tries, failure }: LastHookRun): boolean =>
  tries >= maxTries && !(failure !== undefined && notRunCodes.includes(failure.code))

const notBeforeMonoMs = (last: LastHookRun | undefined, { sequence }: News): number =>
  last?.sequence === sequence ? last.endedAt.monoMs + backoffMs(last.tries) : 0

const backoffMs = (tries: number): number => Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(tries - 1, 10))
