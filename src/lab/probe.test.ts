import { describe, expect, test } from 'vitest'
import { longestGap } from './probe.ts'

describe('longestGap()', () => {
  test('is the longest time between two answers', () => {
    expect(longestGap(1000, [1010, 1020, 1420, 1430], 1440)).toEqual({
      longestGapMs: 400,
      gapFromMs: 1020,
      gapUntilMs: 1420,
    })
  })

  test('counts the time until the first answer', () => {
    expect(longestGap(1000, [1300, 1310], 1320)).toEqual({ longestGapMs: 300, gapFromMs: 1000, gapUntilMs: 1300 })
  })

  test('counts the time after the last answer', () => {
    expect(longestGap(1000, [1010, 1020], 1900)).toEqual({ longestGapMs: 880, gapFromMs: 1020, gapUntilMs: 1900 })
  })

  test('is everything when nothing ever answered', () => {
    expect(longestGap(1000, [], 3000)).toEqual({ longestGapMs: 2000, gapFromMs: 1000, gapUntilMs: 3000 })
  })

  test('is the first of two that are as long', () => {
    expect(longestGap(0, [100, 200], 250)).toEqual({ longestGapMs: 100, gapFromMs: 0, gapUntilMs: 100 })
  })
})
