import { expect, test } from 'vitest'
import { ageText } from './age.ts'

test.each([
  [-5, '0.0s'],
  [0, '0.0s'],
  [449, '0.4s'],
  [9_949, '9.9s'],
  [10_000, '10s'],
  [59_999, '59s'],
  [60_000, '1m00s'],
  [310_000, '5m10s'],
  [3_599_999, '59m59s'],
  [3_600_000, '1h00m'],
  [10_920_000, '3h02m'],
  [86_399_999, '23h59m'],
  [86_400_000, '1d00h'],
  [187_200_000, '2d04h'],
  [8_640_000_000, '100d00h'],
])('ageText() of %i ms is %s', (ms, text) => {
  expect(ageText(ms)).toBe(text)
})
