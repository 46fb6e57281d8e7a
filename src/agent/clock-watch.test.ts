import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { watchClock } from './clock-watch.ts'

let now = { wallMs: 0, monoMs: 0 }
let told: (string | undefined)[] = []
let stop: () => void

beforeEach(() => {
  vi.useFakeTimers()
  now = { wallMs: Date.UTC(2026, 0, 1), monoMs: 1000 }
  told = []
  stop = watchClock({ clock: () => now, onStep: (text) => told.push(text) })
})
afterEach(() => {
  stop()
  vi.useRealTimers()
})

/** So long on the monotonic clock, and the wall clock with it, but for `byMs`. */
function pass(ms: number, byMs = 0): void {
  now = { wallMs: now.wallMs + ms + byMs, monoMs: now.monoMs + ms }
  vi.advanceTimersByTime(1000)
}

test('watchClock() says that the clock was set forward or back, by how much, and when', () => {
  pass(1000, 3_600_000)
  pass(1000, -86_400_000)
  expect(told).toEqual([
    'the wall clock was set 3600.0 s forward, to 2026-01-01T01:00:01.000Z',
    'the wall clock was set 86400.0 s back, to 2025-12-31T01:00:02.000Z',
  ])
})

test('watchClock() says nothing of a clock that is slewed, and of a process that had no turn for a while', () => {
  for (let n = 0; n < 100; n += 1) pass(1000, 0.5)
  pass(60_000)
  expect(told).toEqual([])
})

test('watchClock() ends it after ten minutes without another step', () => {
  pass(1000, 5000)
  pass(599_000)
  expect(told).toHaveLength(1)
  pass(1000)
  pass(1000)
  expect(told.slice(1)).toEqual([undefined])
})
