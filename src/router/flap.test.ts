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

  test('whatever happens: counts are those of the window, nothing is held for more than 30 s, and all ends by itself', () => {
    const pauses = fc.array(fc.integer({ min: 0, max: 7000 }), { maxLength: 200 })
    fc.assert(
      fc.property(pauses, (steps) => {
        let [flaps, now] = [noFlaps, 0]
        const moments: number[] = []
        for (const pause of steps) {
          now += pause
          const held = heldUntilMonoMs(flaps)
          // As the core does, which wakes at that moment.
          if (held !== undefined && held <= at(now).monoMs) {
            flaps = countFlaps(flaps, limits, [], { wallMs: 0, monoMs: held })
            expect(heldUntilMonoMs(flaps)).toBeUndefined()
          }
          flaps = countFlaps(flaps, limits, [change(now)], at(now))
          moments.push(now)
          const within = moments.filter((one) => one > now - limits.windowMs).length
          expect(flaps.changes).toHaveLength(within)
          if (within > limits.changes) expect(flaps.flapping).toBe(true)
          const until = heldUntilMonoMs(flaps)
          if (until !== undefined) {
            expect(ms(until)).toBeGreaterThan(now)
            expect(until - (flaps.heldSinceMonoMs ?? 0)).toBeLessThanOrEqual(30_000)
          }
        }
        for (let next = nextFlapMonoMs(flaps, limits), rounds = 0; next !== undefined; rounds++) {
          expect(rounds).toBeLessThan(3)
          flaps = countFlaps(flaps, limits, [], { wallMs: 0, monoMs: next })
          next = nextFlapMonoMs(flaps, limits)
        }
        expect(flaps.flapping).toBe(false)
      }),
    )
  })
})
