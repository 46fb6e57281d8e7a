import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Failure } from './answer.ts'
import { Health } from './health.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const failing = (suspect: Failure['suspect'], pauseMs?: number): Failure => ({
  ...{ kind: 'unreachable', says: 'fails', suspect },
  ...(pauseMs === undefined ? {} : { pauseMs }),
})

function watched() {
  const health = new Health(8)
  const said: (string | undefined)[] = []
  health.onState(({ trouble, isTried }) =>
    said.push(isTried === true ? `tried: ${String(trouble?.text)}` : trouble?.text),
  )
  return { health, said }
}

/** Fails as often as it is asked, and says after how many seconds it was asked. */
function pausesOf(health: Health, count: number): number[] {
  const pauses: number[] = []
  let sinceMs = Date.now()
  health.onState(({ isTried }) => {
    if (isTried === true) pauses.push((Date.now() - sinceMs) / 1000)
  })
  while (pauses.length < count) {
    sinceMs = Date.now()
    health.failed('r1', failing('settings'), 'fails')
    vi.advanceTimersToNextTimer()
  }
  return pauses
}

test('a Health is told at once that the endpoint is there', () => {
  expect(watched().said).toEqual([undefined])
})

test('three failures in a row of an endpoint that is not reached are trouble, one that was taken between them is none', () => {
  const { health, said } = watched()
  for (let n = 0; n < 2; n++) health.failed('r1', failing('endpoint'), 'fails')
  health.answered()
  for (let n = 0; n < 2; n++) health.failed('r1', failing('endpoint'), 'fails')
  expect(said).toEqual([undefined])
  health.failed('r1', failing('endpoint'), 'fails')
  expect(said).toEqual([undefined, 'fails'])
})

test('reports of one router that the endpoint cannot bear stop no other; those of two are trouble', () => {
  const { health, said } = watched()
  for (let n = 0; n < 20; n++) health.failed('r1', failing('report'), 'fails')
  expect([said, health.width]).toEqual([[undefined], 8])
  health.failed('r2', failing('report'), 'fails too')
  expect(said).toEqual([undefined, 'fails too'])
})

test('wrong settings are trouble at once; after a pause there is room for one, and what becomes of it decides', () => {
  const { health, said } = watched()
  health.failed('r1', failing('settings'), 'redirects')
  health.failed('r2', failing('settings'), 'redirects still')
  expect(said).toEqual([undefined, 'redirects'])
  vi.advanceTimersByTime(1000)
  expect([said.splice(0), health.width]).toEqual([[undefined, 'redirects', 'tried: redirects'], 1])
  health.failed('r1', failing('settings'), 'redirects')
  vi.advanceTimersByTime(2000)
  // It was never well in between.
  expect([said.splice(0), health.width]).toEqual([['redirects', 'tried: redirects'], 1])
  health.answered()
  expect([said, health.width]).toEqual([[undefined], 8])
})

test('pauses are longer and longer, up to a minute', () => {
  const pauses = pausesOf(watched().health, 9)
  for (const [index, most] of [1, 2, 4, 8, 16, 32, 60, 60, 60].entries()) {
    expect(pauses[index]).toBeLessThanOrEqual(most)
    expect(pauses[index]).toBeGreaterThanOrEqual(most * 0.75)
  }
})

test('an endpoint that asks for a pause has it', () => {
  const { health, said } = watched()
  health.failed('r1', failing('report', 20_000), 'is told too much')
  vi.advanceTimersByTime(19_999)
  expect(said).toEqual([undefined, 'is told too much'])
  vi.advanceTimersByTime(1)
  expect(said).toEqual([undefined, 'is told too much', 'tried: is told too much'])
})

test('close() leaves no timer behind', () => {
  const { health, said } = watched()
  health.failed('r1', failing('settings'), 'redirects')
  health.close()
  expect([vi.getTimerCount(), said]).toEqual([0, [undefined, 'redirects']])
})

test('an endpoint that takes a report while it is left alone is there after its pause', () => {
  const { health, said } = watched()
  health.failed('r1', failing('settings'), 'redirects')
  health.answered()
  expect(said).toEqual([undefined, 'redirects'])
  vi.advanceTimersByTime(1000)
  expect([said, health.width]).toEqual([[undefined, 'redirects', undefined], 8])
})
