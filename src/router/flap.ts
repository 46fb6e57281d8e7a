import type { Instant } from '../base/instant.ts'
import type { Transition } from './effect.ts'
import type { FlapLimits } from './spec.ts'

/** The changes of role that a router went through lately, since this run of the agent took it up. */
export interface Flaps {
  /** Oldest first; those within the window. */
  readonly changes: readonly Change[]
  /** It is flapping, and the news is held back since then; undefined: it is told as it comes. */
  readonly heldSinceMonoMs: number | undefined
  readonly flapping: boolean
}

interface Change {
  readonly atMonoMs: number
  /** In words, as the condition tells it. */
  readonly why: string
}

export const noFlaps: Flaps = { changes: [], heldSinceMonoMs: undefined, flapping: false }

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
  if (flaps.changes.length === 0 && changed.length === 0) return flaps
  const recent = [...flaps.changes, ...changed.map(({ at, cause }) => ({ atMonoMs: at.monoMs, why: cause.text }))]
  const changes = recent.filter(({ atMonoMs }) => atMonoMs > now.monoMs - limits.windowMs).slice(-maxCounted)
  const flapping = changes.length > (flaps.flapping ? Math.floor(limits.changes / 2) : limits.changes)
  const held = { changes, flapping, heldSinceMonoMs: flaps.heldSinceMonoMs }
  const until = heldUntilMonoMs(held)
  if (until !== undefined && until <= now.monoMs) return { changes, flapping, heldSinceMonoMs: undefined }
  return flapping && changed.length > 0 && until === undefined ? { ...held, heldSinceMonoMs: now.monoMs } : held
}

/**
 * Until when the news of this router is held back: what hooks hear, and what is reported. Never the role that is shown, the journal, or a service
 * that follows the role. Undefined: it is not.
 */
export function heldUntilMonoMs({ heldSinceMonoMs, changes }: Flaps): number | undefined {
  if (heldSinceMonoMs === undefined) return undefined
  const last = changes.at(-1)?.atMonoMs ?? heldSinceMonoMs
  return Math.min(heldSinceMonoMs + maxHoldMs, last + quietMs)
}

/** When time alone changes something. */
export function nextFlapMonoMs(flaps: Flaps, limits: FlapLimits): number | undefined {
  if (!flaps.flapping) return heldUntilMonoMs(flaps)
  // When so many have left the window that what is left is no flapping.
  const leaves = flaps.changes.at(flaps.changes.length - Math.floor(limits.changes / 2) - 1)
  const ends = (leaves?.atMonoMs ?? 0) + limits.windowMs
  return Math.min(ends, heldUntilMonoMs(flaps) ?? ends)
}

/** For a person. */
export function judgeFlaps(flaps: Flaps, { windowMs }: FlapLimits): string | undefined {
  if (!flaps.flapping) return undefined
  const [why, times] = mostFrequent(flaps.changes)
  const held =
    flaps.heldSinceMonoMs === undefined
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
