import { expect, test, vi } from 'vitest'
import { Tallies } from './tally.ts'

function tallies() {
  vi.useFakeTimers()
  const written: string[] = []
  const made = new Tallies<{ reason: string; count: number; by: number }>(({ reason, count, by }) => {
    written.push(`${reason} ${String(by)} x${String(count)}`)
  })
  const note = (reason: string, by: number, kind = reason) => {
    made.note(kind, { reason, count: 1, by })
  }
  return {
    note,
    written,
    made,
    [Symbol.dispose]: () => {
      made.close()
      vi.useRealTimers()
    },
  }
}

test('the first of a kind is written at once, the rest of ten seconds as one, by the newest', () => {
  using it = tallies()
  for (let by = 1; by <= 5; by++) it.note('late', by)
  it.note('wrong', 9)
  expect(it.written).toEqual(['late 1 x1', 'wrong 9 x1'])
  vi.advanceTimersByTime(10_000)
  expect(it.written).toEqual(['late 1 x1', 'wrong 9 x1', 'late 5 x4'])
  it.note('wrong', 10)
  expect(it.written.at(-1), 'nothing of that kind for ten seconds').toBe('wrong 10 x1')
})

test('kinds beyond 256 are counted together', () => {
  using it = tallies()
  for (let n = 0; n < 300; n++) it.note('bad', n, `kind ${String(n)}`)
  expect(it.written).toHaveLength(257)
  vi.advanceTimersByTime(10_000)
  expect(it.written.slice(257)).toEqual(['many 256 x43'])
})

test('close() writes what is counted', () => {
  using it = tallies()
  it.note('late', 1)
  it.note('late', 2)
  it.made.close()
  expect(it.written).toEqual(['late 1 x1', 'late 2 x1'])
})
