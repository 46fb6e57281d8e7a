import type { Clock } from '../base/instant.ts'

const dayMs = 86_400_000

/**
 * The wall time before which records are too old. Records of other boots have no other time, so that a clock which somebody sets
 * forward would make all of them old at once: since the start, wall time counts only as far as the monotonic clock went with it.
 */
export function ageLimit(clock: Clock, days: number): () => number {
  const started = clock()
  return () => {
    const { wallMs, monoMs } = clock()
    return Math.min(wallMs, started.wallMs + monoMs - started.monoMs) - days * dayMs
  }
}
