import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { at } from '../../test/support/router.ts'
import type { Transition } from './effect.ts'
import { countFlaps, heldUntilMonoMs, judgeFlaps, nextFlapMonoMs, noFlaps, type Flaps } from './flap.ts'

const limits = { changes: 4, windowMs: 10_000 }
const change = (ms: number, text = 'link ha0 is down'): Transition => ({
  from: 'backup',
  to: 'primary',
  at: at(ms),
  lastedMs: undefined,
  cause: { kind: 'kernel', text },
})
/** The moments of changes, in ms. */
const after = (...moments: number[]): Flaps =>
  moments.reduce((flaps, ms) => countFlaps(flaps, limits, [change(ms)], at(ms)), noFlaps)
const ms = (mono: number | undefined): number | undefined => mono && mono - at(0).monoMs

describe('countFlaps()', () => {
  test('as many changes as are allowed are none, and nothing is held back', () => {
    const flaps = after(0, 100, 200, 300)
    expect(judgeFlaps(flaps, limits)).toBeUndefined()
    expect(heldUntilMonoMs(flaps)).toBeUndefined()
  })

  test('one more holds the news back until the role has stood still for 5 s', () => {
    const flaps = after(0, 100, 200, 300, 400)
    expect(judgeFlaps(flaps, limits)).toBe(
      '5 changes of role within 10 s, most often (5 times): link ha0 is down; hooks and reports are held back until the role has stood still for 5 s, at most for 30 s',
    )
    expect(ms(heldUntilMonoMs(flaps))).toBe(5400)
    expect(ms(heldUntilMonoMs(countFlaps(flaps, limits, [change(1000)], at(1000))))).toBe(6000)
    const told = countFlaps(flaps, limits, [], at(5400))
    expect(heldUntilMonoMs(told)).toBeUndefined()
    expect(judgeFlaps(told, limits)).toContain('another change holds them back again')
  })

  test('is over once the window holds no more than half of what is allowed', () => {
    const flaps = after(0, 100, 200, 300, 400)
    expect(ms(nextFlapMonoMs(countFlaps(flaps, limits, [], at(5400)), limits))).toBe(10_200)
    expect(countFlaps(flaps, limits, [], at(10_199)).flapping).toBe(true)
    expect(countFlaps(flaps, limits, [], at(10_200)).flapping).toBe(false)
  })

  test('names the most frequent cause', () => {
    const texts = ['a', 'b', 'b', 'c', 'b', 'a']
    const flaps = texts.reduce((so, text, n) => countFlaps(so, limits, [change(n, text)], at(n)), noFlaps)
    expect(judgeFlaps(flaps, limits)).toContain('6 changes of role within 10 s, most often (3 times): b;')
  })

  test('a role that flips for a minute has its news told each 30 s', () => {
    let flaps = noFlaps
    const told: number[] = []
    for (let now = 0; now <= 70_000; now += 500) {
      const held = heldUntilMonoMs(flaps)
      flaps = countFlaps(flaps, limits, [], at(now))
      if (held !== undefined && heldUntilMonoMs(flaps) === undefined) told.push(now)
      flaps = countFlaps(flaps, limits, [change(now)], at(now))
    }
    expect(told).toEqual([32_000, 62_000])
  })

  test('in a window shorter than that the role must stand still as long, and nothing is left afterwards', () => {
    const short = { changes: 4, windowMs: 2000 }
    const moments = [0, 100, 200, 300, 400, 1000]
    let flaps = moments.reduce((so, now) => countFlaps(so, short, [change(now)], at(now)), noFlaps)
    expect(ms(nextFlapMonoMs(flaps, short))).toBe(2300)
    // Something else happens while the window is empty.
    for (const now of [2300, 4000, 5999]) {
      flaps = countFlaps(flaps, short, [], at(now))
      expect(ms(nextFlapMonoMs(flaps, short))).toBe(6000)
    }
    flaps = countFlaps(flaps, short, [], at(6000))
    expect(nextFlapMonoMs(flaps, short)).toBeUndefined()
    expect(heldUntilMonoMs(flaps)).toBeUndefined()
  })

  test('whatever happens: counts are those of the window, nothing is held for more than 30 s, and all ends by itself', () => {
    const pause = fc.oneof(fc.nat(100), fc.nat(100), fc.nat(7000))
    const happenings = fc.array(fc.record({ pause, changes: fc.boolean() }), { maxLength: 60 })
    const windowMs = fc.oneof(fc.integer({ min: 1000, max: 5000 }), fc.integer({ min: 1000, max: 20_000 }))
    const some = fc.record({ changes: fc.integer({ min: 2, max: 6 }), windowMs })
    fc.assert(
      fc.property(happenings, some, (all, limits) => {
        let [flaps, now, heldSince, lastChange] = [noFlaps, 0, 0, 0]
        const moments: number[] = []
        const count = (moment: number, changed: Transition[] = []) => {
          const before = heldUntilMonoMs(flaps)
          flaps = countFlaps(flaps, limits, changed, at(moment))
          const [next, until] = [nextFlapMonoMs(flaps, limits), heldUntilMonoMs(flaps)]
          if (next !== undefined) expect(ms(next)).toBeGreaterThan(moment)
          if (before === undefined) heldSince = moment
          if (until !== undefined)
            expect(ms(until)).toBeLessThanOrEqual(Math.min(heldSince + 30_000, lastChange + 5000))
        }
        /** As the core does, which wakes at each such moment. */
        const wake = (until: number): number => {
          let rounds = 0
          for (; rounds < 9; rounds++) {
            const next = ms(nextFlapMonoMs(flaps, limits))
            if (next === undefined || next > until) return rounds
            count(next)
          }
          return rounds
        }
        for (const { pause, changes } of all) {
          wake(now + pause)
          now += pause
          if (changes) moments.push((lastChange = now))
          count(now, changes ? [change(now)] : [])
          const within = moments.filter((one) => one > now - limits.windowMs).length
          expect(flaps.changes).toHaveLength(within)
          if (within > limits.changes) expect(flaps.flapping).toBe(true)
        }
        expect(wake(Infinity)).toBeLessThan(3)
        expect(flaps.flapping).toBe(false)
        expect(heldUntilMonoMs(flaps)).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })
})
