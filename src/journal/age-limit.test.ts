import { expect, test } from 'vitest'
import { ageLimit } from './age-limit.ts'

const day = 86_400_000

function limitAfter(passed: { readonly wallMs: number; readonly monoMs: number }): number {
  let now = { wallMs: 1000 * day, monoMs: 5 }
  const limit = ageLimit(() => now, 30)
  now = { wallMs: now.wallMs + passed.wallMs, monoMs: now.monoMs + passed.monoMs }
  return limit() / day
}

test('ageLimit() follows a clock that nobody sets', () => {
  expect(limitAfter({ wallMs: 2 * day, monoMs: 2 * day })).toBe(972)
})

test('ageLimit() makes nothing old when the clock is set forward by years', () => {
  expect(limitAfter({ wallMs: 4000 * day, monoMs: day })).toBe(971)
})

test('ageLimit() follows a clock that is set back: less is too old', () => {
  expect(limitAfter({ wallMs: -10 * day, monoMs: day })).toBe(960)
})
