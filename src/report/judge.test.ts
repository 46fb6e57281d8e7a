import { expect, test } from 'vitest'
import { judgeSinks } from './judge.ts'
import type { ReporterStatus } from './reporter.ts'

const status = (change: Partial<ReporterStatus> = {}): ReporterStatus => ({
  state: { trouble: undefined, insecure: undefined },
  waiting: 0,
  oldestMs: undefined,
  refused: new Map(),
  delivered: 0,
  failures: 0,
  lastError: undefined,
  lastErrorMs: undefined,
  gap: undefined,
  awayMs: 0,
  ...change,
})
const judge = (change: Partial<ReporterStatus>) => judgeSinks([{ name: 'fleet', type: 'nats', status: status(change) }])
const away = { trouble: { kind: 'unreachable', text: 'no answer' }, insecure: undefined } as const

test('judgeSinks() says nothing of a sink that has what there is, or is about to have it', () => {
  expect(judge({})).toEqual([])
  expect(judge({ waiting: 9, oldestMs: 59_000 })).toEqual([])
  expect(judge({ state: away, awayMs: 9000, waiting: 1, oldestMs: 9000 })).toEqual([])
})

test('judgeSinks() says which sink is behind, why and by how much', () => {
  expect(judge({ state: away, awayMs: 11_000, waiting: 2, oldestMs: 10_400 })).toEqual([
    ['sink-behind', 'fleet: no answer; 2 reports wait, the oldest for 10 s'],
  ])
  expect(judge({ waiting: 1, oldestMs: 61_000, lastError: 'timed out', lastErrorMs: 20_000 })).toEqual([
    ['sink-behind', 'fleet: timed out; 1 report waits, the oldest for 61 s'],
  ])
  expect(judgeSinks([{ name: 'fleet', type: 'nats', status: 'the journal does not answer' }])).toEqual([
    ['sink-behind', 'fleet: the journal does not answer'],
  ])
})

test('judgeSinks() gives no error of earlier as the reason why a sink is behind now', () => {
  expect(judge({ waiting: 1, oldestMs: 61_000, lastError: 'timed out', lastErrorMs: 604_800_000 })).toEqual([
    ['sink-behind', 'fleet: it is slow; 1 report waits, the oldest for 61 s'],
  ])
})

test('judgeSinks() says for an hour what a sink that wants every record will never be told', () => {
  expect(judge({ gap: { fromSeq: 501, throughSeq: 799, ageMs: 310_000 } })).toEqual([
    ['sink-gap', 'fleet: the journal removed records of 501 to 799 before they were told, seen 5m10s ago'],
  ])
  expect(judge({ gap: { fromSeq: 501, throughSeq: 799, ageMs: 3_600_000 } })).toEqual([])
})

test('judgeSinks() says at once what an operator must make, what is refused and what is weak', () => {
  const state = { trouble: { kind: 'not-ready', text: 'there is no stream' }, insecure: 'no TLS' } as const
  const refused = new Map([
    ['r1', 'no UUID'],
    ['r2', 'no UUID'],
  ])
  expect(judge({ state, refused })).toEqual([
    ['sink-not-ready', 'fleet: there is no stream'],
    ['sink-refused', 'fleet: router r1: no UUID, and 1 more router'],
    ['sink-insecure', 'fleet: no TLS'],
  ])
})

test('judgeSinks() names each of several sinks in one condition', () => {
  const two = ['a', 'b'].map((name) => ({ name, type: 'nats' as const, status: 'not yet' }))
  expect(judgeSinks(two)).toEqual([['sink-behind', 'a: not yet; b: not yet']])
})
