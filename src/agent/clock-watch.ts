import type { Clock } from '../base/instant.ts'

export interface ClockWatchParts {
  readonly clock: Clock
  /** The wall clock was set, and how; undefined: that is a while ago. */
  readonly onStep: (text: string | undefined) => void
}

const lookMs = 1000
/** NTP slews by at most 0.5 ms a second (adjtimex(2)): what is more than this within one look was set by somebody. */
const steppedMs = 500
const shownMs = 600_000

/**
 * Say when the wall clock is set. Nothing is decided by it: durations, ages and deadlines are told by the monotonic clock; but times
 * in the journal before and after do not compare, and messages that another clock signed may be refused. Returns how to stop.
 */
export function watchClock({ clock, onStep }: ClockWatchParts): () => void {
  let known = clock()
  let shownUntilMs: number | undefined
  const timer = setInterval(() => {
    const now = clock()
    const byMs = now.wallMs - known.wallMs - (now.monoMs - known.monoMs)
    known = now
    if (Math.abs(byMs) >= steppedMs) {
      shownUntilMs = now.monoMs + shownMs
      onStep(stepText(byMs, now.wallMs))
    } else if (shownUntilMs !== undefined && now.monoMs >= shownUntilMs) {
      shownUntilMs = undefined
      onStep(undefined)
    }
  }, lookMs).unref()
  return () => {
    clearInterval(timer)
  }
}

function stepText(byMs: number, wallMs: number): string {
  const seconds = (Math.abs(byMs) / 1000).toFixed(1)
  return `the wall clock was set ${seconds} s ${byMs > 0 ? 'forward' : 'back'}, to ${new Date(wallMs).toISOString()}`
}
