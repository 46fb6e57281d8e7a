import type { Instant } from '../base/instant.ts'
import type { Outcome } from './operation.ts'
import type { Role } from './role.ts'
import type { Router } from './router.ts'
import type { RouterSpec } from './spec.ts'

/** Services that follow the role. */
export const reactionNames = ['radvd', 'metadata', 'conntrackd'] as const
export type ReactionName = (typeof reactionNames)[number]

/** The order in which each stance takes them up. conntrackd is last: it is asked for an answer, and may keep it for seconds. */
const orderOf: Readonly<Record<Stance, readonly ReactionName[]>> = {
  primary: ['radvd', 'metadata', 'conntrackd'],
  backup: ['metadata', 'radvd', 'conntrackd'],
}

/** What a reaction is to do: what a primary's does, or what everybody else's does. */
export type Stance = 'primary' | 'backup'

/** How a reaction was found: as one stance wants it, as both do, or as neither does. */
export interface ReactionEvidence {
  readonly reaction: ReactionName
  readonly is: Stance | 'both' | 'neither'
  /** In the control group of whoever started it: a service manager that ends that ends it too. */
  readonly tied?: true
}

/** What is known of one reaction. */
export interface Reaction {
  readonly is: ReactionEvidence['is'] | 'unseen'
  /** The run that ended last. */
  readonly last: LastRun | undefined
  /** As it was found. */
  readonly tied?: true
}

export interface LastRun {
  readonly stance: Stance
  /** Undefined: it ended well. */
  readonly failure: { readonly code: string; readonly text: string } | undefined
  readonly endedAt: Instant
  readonly tookMs: number
  /** Runs and deaths in a row of which none lasted. */
  readonly tries: number
  readonly notBeforeMonoMs: number
  /** Its service died since, and what it had said. */
  readonly lastWords?: string
}

/** The reactions of one router. One runs at a time. */
export interface Reactions {
  readonly all: ReadonlyMap<ReactionName, Reaction>
  readonly underWay: Run | undefined
  /** Of all runs that there were: no two have the same number. */
  readonly runs: number
}

/** One run of a reaction, told from every other by its number. */
export interface Run {
  readonly number: number
  readonly reaction: ReactionName
  readonly stance: Stance
  readonly since: Instant
  /** Its service died meanwhile, the one before or the one that was just started, and what it had said. */
  readonly lastWords?: string
}

export const noReactions: Reactions = { all: new Map(), underWay: undefined, runs: 0 }

const firstBackoffMs = 1000
const maxBackoffMs = 30_000
/** A service that ran for so long has not died in a row. */
const provenAliveMs = 60_000

/** The reactions that a router is to have. */
export function wantedReactions(spec: RouterSpec): readonly ReactionName[] {
  return reactionNames.filter((name) => wants[name](spec))
}

const wants: Readonly<Record<ReactionName, (spec: RouterSpec) => boolean>> = {
  conntrackd: ({ connectionTracking }) => connectionTracking !== undefined,
  radvd: ({ routerAdvertisements }) => routerAdvertisements.length > 0,
  metadata: ({ metadata }) => metadata !== undefined,
}

/** `fault` acts as `backup`. Undefined: nobody knows the role, and nothing is changed. */
function stanceOf(role: Role): Stance | undefined {
  if (role === 'unknown') return undefined
  return role === 'primary' ? 'primary' : 'backup'
}

/** Take in what was found; of one that is under way nothing is known until it ends. */
export function absorbLook(reactions: Reactions, found: readonly ReactionEvidence[]): Reactions {
  const all = new Map<ReactionName, Reaction>()
  for (const { reaction, is, ...tied } of found) {
    const known = reactions.all.get(reaction)
    const underWay = reactions.underWay?.reaction === reaction
    all.set(reaction, { is: underWay ? (known?.is ?? 'unseen') : is, last: known?.last, ...tied })
  }
  return { ...reactions, all }
}

/** How a run ended, and how the reaction was found then. */
export type RunOutcome = { readonly ok: true; readonly is: ReactionEvidence['is'] } | Extract<Outcome, { ok: false }>

/** One that ended well and did not come to what it was to be has failed. */
export function judgeRun({ stance }: Run, outcome: RunOutcome): RunOutcome {
  if (!outcome.ok || outcome.is === 'both' || outcome.is === stance) return outcome
  const found = outcome.is === 'neither' ? 'no role wants it' : `${outcome.is} wants it`
  return { ok: false, code: 'reaction-failed', text: `right after it was found as ${found}` }
}

/** The run of that number ended; one that another has taken the place of is nobody's business any more. */
export function absorbRun(reactions: Reactions, number: number, answer: RunOutcome, now: Instant): Reactions {
  const run = reactions.underWay
  if (run?.number !== number) return reactions
  const outcome = judgeRun(run, answer)
  const known = reactions.all.get(run.reaction)
  const before = known?.last
  const inRow = before !== undefined && before.endedAt.monoMs + provenAliveMs > now.monoMs ? before.tries : 0
  const tries = outcome.ok ? inRow : inRow + 1
  const last: LastRun = {
    stance: run.stance,
    failure: outcome.ok ? undefined : { code: outcome.code, text: outcome.text },
    endedAt: now,
    tookMs: now.monoMs - run.since.monoMs,
    tries,
    notBeforeMonoMs: outcome.ok ? 0 : now.monoMs + backoffMs(tries),
  }
  const is = outcome.ok ? outcome.is : 'neither'
  const ended = { ...withReaction(reactions, run.reaction, { ...known, is, last }), underWay: undefined }
  return run.lastWords === undefined ? ended : absorbDeath(ended, run.reaction, run.lastWords, now)
}

/**
 * Its service died behind our back. The first one is started again at once; of one that failed before that a new try waits already.
 * `lastWords`: empty where nobody knows them.
 */
export function absorbDeath(reactions: Reactions, reaction: ReactionName, lastWords: string, now: Instant): Reactions {
  const known = reactions.all.get(reaction)
  if (known === undefined) return reactions
  if (reactions.underWay?.reaction === reaction) return { ...reactions, underWay: { ...reactions.underWay, lastWords } }
  if (known.last?.failure !== undefined)
    return withReaction(reactions, reaction, { is: 'neither', last: { ...known.last, lastWords } })
  if (known.last === undefined) return withReaction(reactions, reaction, { is: 'neither', last: undefined })
  const lasted = now.monoMs - known.last.endedAt.monoMs > provenAliveMs
  const tries = lasted ? 1 : known.last.tries + 1
  const notBeforeMonoMs = now.monoMs + (tries === 1 ? 0 : backoffMs(tries - 1))
  return withReaction(reactions, reaction, {
    is: 'neither',
    last: { ...known.last, tries, notBeforeMonoMs, lastWords },
  })
}

/** What is to be run now, if anything, and when to look again whether time alone allows it. */
export function nextRun(
  router: Router,
  role: Role,
  now: Instant,
): { readonly run?: Run; readonly waitUntilMonoMs?: number } {
  const { wanted, kernel, reactions } = router
  if (wanted === undefined || kernel.kind !== 'present' || reactions.all.size === 0) return {}
  const { underWay } = reactions
  const targets = targetsOf(wanted, reactions, role)
  if (underWay !== undefined) {
    const target = targets.find(([reaction]) => reaction === underWay.reaction)?.[1]
    if (target === undefined || target === underWay.stance) return {}
    return { run: { number: reactions.runs + 1, reaction: underWay.reaction, stance: target, since: now } }
  }
  let waitUntilMonoMs: number | undefined
  for (const [reaction, stance] of targets) {
    const { is, last } = reactions.all.get(reaction) ?? { is: 'unseen', last: undefined }
    if (is === 'unseen' || is === 'both' || is === stance || !isGuarded(router, wanted, reaction)) continue
    const untilMonoMs = last?.stance === stance ? last.notBeforeMonoMs : 0
    if (untilMonoMs <= now.monoMs) return { run: { number: reactions.runs + 1, reaction, stance, since: now } }
    waitUntilMonoMs = Math.min(waitUntilMonoMs ?? Infinity, untilMonoMs)
  }
  return waitUntilMonoMs === undefined ? {} : { waitUntilMonoMs }
}

/** conntrackd believes whoever speaks to its port: it works behind its filter alone. */
const isGuarded = ({ settings }: Router, { connectionTracking }: RouterSpec, reaction: ReactionName): boolean =>
  reaction !== 'conntrackd' ||
  connectionTracking === undefined ||
  (settings.kind === 'seen' && settings.tables.flows.kind === 'ready')

/** What was applied may have mended whatever failed: it is tried at once. */
export function reconsiderReactions(reactions: Reactions): Reactions {
  const all = [...reactions.all].map(([name, one]): [ReactionName, Reaction] => [
    name,
    { ...one, last: one.last && { ...one.last, tries: 0, notBeforeMonoMs: 0 } },
  ])
  return { ...reactions, all: new Map(all) }
}

/** What failed and is still to be done, for a person. */
export function judgeReactions({ reactions, wanted }: Router, role: Role): string | undefined {
  if (wanted === undefined) return undefined
  const targets = new Map(targetsOf(wanted, reactions, role))
  const failed = [...reactions.all].flatMap(([reaction, { is, last }]) => {
    if (last === undefined || last.tries === 0 || is === 'both' || is === last.stance) return []
    if ((targets.get(reaction) ?? last.stance) !== last.stance) return []
    if (last.failure === undefined && last.lastWords === undefined) return []
    const why = last.lastWords ? `it died: ${last.lastWords}` : (last.failure?.text ?? 'it died')
    return [`${reaction} as ${last.stance}: ${why}${last.tries > 1 ? ` (${String(last.tries)} times in a row)` : ''}`]
  })
  return failed.length === 0 ? undefined : failed.join('; ')
}

/** Those that end with whoever started them, for a person. */
export function judgeTied({ reactions, wanted }: Router): string | undefined {
  const tied = [...reactions.all].flatMap(([reaction, one]) => (one.tied === true ? [reaction] : []))
  return wanted === undefined || tied.length === 0
    ? undefined
    : `${tied.join(', ')} would end with the service that started it`
}

/** Each reaction with what it is to be. One that the router is to have no more is let go, whatever the role is. */
function targetsOf(spec: RouterSpec, { all }: Reactions, role: Role): (readonly [ReactionName, Stance])[] {
  const wanted = wantedReactions(spec)
  const stance = stanceOf(role)
  return orderOf[stance ?? 'backup'].flatMap((reaction) => {
    if (!all.has(reaction)) return []
    if (!wanted.includes(reaction)) return [[reaction, 'backup'] as const]
    // What is told of it would be lost with the link.
    const isCut = reaction === 'conntrackd' && role === 'fault'
    return stance === undefined || isCut ? [] : [[reaction, stance] as const]
  })
}

const withReaction = (reactions: Reactions, name: ReactionName, reaction: Reaction): Reactions => ({
  ...reactions,
  all: new Map(reactions.all).set(name, reaction),
})

const backoffMs = (tries: number): number => Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(tries - 1, 10))
