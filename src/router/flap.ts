import type { Instant } from '../base/instant.ts'
import type { Transition } from './effect.ts'
import type { FlapLimits } from './spec.ts'

/** The changes of role that a router went through lately, since this run of the agent took it up. */
export interface Flaps {
  /** Oldest first; those within the window. */
  readonly changes: readonly Change[]
  /** Undefined: the news is told as it comes. */
  readonly held: Hold | undefined
  readonly flapping: boolean
}

/** It flapped, and the news is held back. */
interface Hold {
  readonly sinceMonoMs: number
  /** Of the last change, which may have left the window. */
  readonly changedMonoMs: number
}

interface Change {
  readonly atMonoMs: number
  /** In words, as the condition tells it. */
  readonly why: string
}

export const noFlaps: Flaps = { changes: [], held: undefined, flapping: false }

/** What is held back is told once the role has stood still for so long, */
export const quietMs = 5000
/** and at the latest after so long. */
export const maxHoldMs = 30_000
/** More of them are as bad, and not counted one by one. */
const maxCounted = 1000

/**
 * Take in the changes that there were, and the time that went by. It flaps from more changes than are allowed on, until the window holds no more than
 * half of these.
 */
export function countFlaps(flaps: Flaps, limits: FlapLimits, changed: readonly Transition[], now: Instant): Flaps {
  const idle = flaps.changes.length === 0 && flaps.held === undefined
  if (idle && changed.length === 0) return flaps
  const recent = [...flaps.changes, ...changed.map(({ at, cause }) => ({ atMonoMs: at.monoMs, why: cause.text }))]
  const changes = recent.filter(({ atMonoMs }) => atMonoMs > now.monoMs - limits.windowMs).slice(-maxCounted)
  const flapping = changes.length > (flaps.flapping ? Math.floor(limits.changes / 2) : limits.changes)
  return { changes, flapping, held: holdOf(flaps.held, flapping, changed.at(-1)?.at.monoMs, now) }
}

function holdOf(
  before: Hold | undefined,
  flapping: boolean,
  changedMonoMs: number | undefined,
  now: Instant,
): Hold | undefined {
  if (before !== undefined) {
    const held = { ...before, changedMonoMs: changedMonoMs ?? before.changedMonoMs }
    return endOf(held) > now.monoMs ? held : undefined
  }
  return flapping && changedMonoMs !== undefined ? { sinceMonoMs: now.monoMs, changedMonoMs } : undefined
}

const endOf = ({ sinceMonoMs, changedMonoMs }: Hold): number =>
  Math.min(sinceMonoMs + maxHoldMs, changedMonoMs + quietMs)

/**
 * Until when the news of this router is held back: what hooks hear, and what is reported. Never the role that is shown, the journal, or a service
 * that follows the role. Undefined: it is not.
 */
export const heldUntilMonoMs = ({ held }: Flaps): number | undefined => held && endOf(held)

/** When time alone changes something: later than the moment of the last count. */
export function nextFlapMonoMs(flaps: Flaps, limits: FlapLimits): number | undefined {
  const { changes, flapping } = flaps
  // When so many have left the window that what is left is no flapping.
  const leaves = flapping ? changes.at(changes.length - Math.floor(limits.changes / 2) - 1) : undefined
  const moments = [heldUntilMonoMs(flaps), leaves && leaves.atMonoMs + limits.windowMs]
  const next = Math.min(...moments.filter((one) => one !== undefined))
  return next === Infinity ? undefined : next
}

/** For a person. */
export function judgeFlaps(flaps: Flaps, { windowMs }: FlapLimits): string | undefined {
  if (!flaps.flapping) return undefined
  const [why, times] = mostFrequent(flaps.changes)
  const held =
    flaps.held === undefined
      ? 'hooks and reports were told the role of the moment; another change holds them back again'
      : `hooks and reports are held back until the role has stood still for ${String(quietMs / 1000)} s, at most for ${String(maxHoldMs / 1000)} s`
  const count = `${String(flaps.changes.length)} changes of role within ${String(windowMs / 1000)} s`
  return `${count}, most often (${String(times)} times): ${why}; ${held}`
}

function mostFrequent(changes: Flaps['changes']): readonly [why: string, times: number] {
  const counts = new Map<string, number>()
  for (const { why } of changes) counts.set(why, (counts.get(why) ?? 0) + 1)
  const [most = ['', 0]] = [...counts].toSorted(([, one], [, other]) => other - one)
  return most
}
