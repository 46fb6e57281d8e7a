import { describe, expect, it } from 'vitest'
import { bootstrapDifference, median, percentile, seededRandom, slope } from '../../bench/statistics.ts'

describe('percentile()', () => {
  it('gives the nearest rank when the percentage falls between two samples', () => {
    expect(percentile([15, 20, 35, 40, 50], 30)).toBe(20)
    expect(percentile([15, 20, 35, 40, 50], 40)).toBe(20)
    expect(percentile([15, 20, 35, 40, 50], 50)).toBe(35)
    expect(percentile([50, 15, 40, 20, 35], 99)).toBe(50)
  })

  it('gives the smallest for 0 and NaN without samples', () => {
    expect(percentile([3, 1, 2], 0)).toBe(1)
    expect(percentile([], 50)).toBeNaN()
  })
})

describe('median()', () => {
  it('gives the middle, or the mean of the two middle ones', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([10, 1, 5, 2])).toBe(3.5)
  })
})

describe('slope()', () => {
  it('gives the rise of a line when the points lie on one', () => {
    expect(
      slope([
        [0, 100],
        [50, 600],
        [200, 2100],
      ]),
    ).toBe(10)
  })

  it('gives the least-squares rise when they do not', () => {
    expect(
      slope([
        [0, 0],
        [1, 2],
        [2, 1],
      ]),
    ).toBe(0.5)
  })
})

describe('bootstrapDifference()', () => {
  it('holds no zero when the samples lie apart', () => {
    const one = Array.from({ length: 40 }, (_, index) => 200 + (index % 10))
    const other = Array.from({ length: 40 }, (_, index) => 100 + (index % 10))
    const { low, high } = bootstrapDifference(one, other)
    expect(low).toBeGreaterThan(96)
    expect(high).toBeLessThan(104)
  })

  it('holds zero when both are the same, and gives the same twice', () => {
    const samples = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    const first = bootstrapDifference(samples, samples)
    expect(first.low).toBeLessThan(0)
    expect(first.high).toBeGreaterThan(0)
    expect(bootstrapDifference(samples, samples)).toEqual(first)
  })
})

describe('seededRandom()', () => {
  it('gives numbers from 0 to below 1, the same for the same seed', () => {
    const random = seededRandom(1)
    const values = Array.from({ length: 1000 }, random)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...values)).toBeLessThan(1)
    expect(seededRandom(1)()).toBe(values[0])
  })
})
