import { expect, test } from 'vitest'
import { PendingQueue } from './pending.ts'
import type { Pending } from './pending.ts'
import type { JsonObject, RecordKind } from './record.ts'

const given = (
  seq: number,
  kind: RecordKind,
  router: string | undefined,
  body: JsonObject = {},
): Pending & { given: string[] } => {
  const given: string[] = []
  return {
    line: {
      seq,
      kind,
      router,
      routerSeq: router === undefined ? undefined : seq,
      wallMs: 1,
      monoMs: seq,
      body: '{}',
      lateAtMs: 0,
    },
    entry: { kind, router, at: { wallMs: 1, monoMs: seq }, body },
    settle: { resolve: () => undefined, reject: (error) => given.push(`${error.code}: ${error.message}`) },
    given,
  }
}

const shown = (queue: PendingQueue) =>
  queue.take(100).map(({ line }) => `${line.seq} ${line.kind} ${line.router ?? '-'} ${line.body}`)

test('PendingQueue.add() keeps everything in order when the bound is not reached', () => {
  const queue = new PendingQueue(4)
  for (let seq = 1; seq <= 4; seq++) queue.add(given(seq, 'transition', 'r1'))
  expect(shown(queue).map((text) => text.slice(0, 1))).toEqual(['1', '2', '3', '4'])
  expect(queue.lost).toBe(0)
})

test('PendingQueue.add() gives up the oldest superseded transitions and tells so in one gap record in place of the first', () => {
  const queue = new PendingQueue(4)
  const first = given(1, 'transition', 'r1')
  queue.add(first)
  queue.add(given(2, 'transition', 'r2'))
  for (let seq = 3; seq <= 5; seq++) queue.add(given(seq, 'transition', 'r1'))
  expect(shown(queue)).toEqual([
    '1 gap - {"fromSeq":1,"lost":2,"toSeq":3}',
    '2 transition r2 {}',
    '4 transition r1 {}',
    '5 transition r1 {}',
  ])
  expect(first.given).toEqual(['journal-full: Journal record 1 of router r1 was given up: too many wait for the disk'])
  expect(queue.lost).toBe(2)
})

test('PendingQueue.add() gives up what others said and tried before any word of our own, also one that is superseded', () => {
  const queue = new PendingQueue(8)
  queue.add(given(1, 'transition', 'r1'))
  queue.add(given(2, 'transition', 'r1'))
  queue.add(given(3, 'config', undefined))
  for (let seq = 4; seq <= 40; seq++)
    queue.add(given(seq, seq % 2 === 0 ? 'claim' : 'refusal', seq % 3 === 0 ? 'r1' : undefined))
  const kinds = shown(queue).map((text) => text.split(' ').slice(0, 2).join(' '))
  expect(kinds.slice(0, 4)).toEqual(['1 transition', '2 transition', '3 config', '5 gap'])
  expect(kinds.at(-1)).toBe('40 claim')
  expect(queue.lost).toBe(40 - queue.size + 1)
})

test('PendingQueue.add() keeps the last claim of each router that runs here, and gives up what was said of others', () => {
  const queue = new PendingQueue(8)
  for (let seq = 1; seq <= 100; seq++) {
    const router = `r${seq % 5}`
    queue.add(given(seq, 'claim', seq % 2 === 0 ? router : undefined, { router: seq % 2 === 0 ? router : `x${seq}` }))
  }
  const kept = shown(queue)
  for (const seq of [92, 94, 96, 98, 100]) expect(kept).toContain(`${seq} claim r${seq % 5} {}`)
  expect(kept.length).toBeLessThanOrEqual(9)
})

test('PendingQueue.add() lets the waiting gap record grow', () => {
  const queue = new PendingQueue(4)
  for (let seq = 1; seq <= 40; seq++) queue.add(given(seq, 'transition', seq % 2 === 0 ? 'even' : 'odd'))
  const lines = shown(queue)
  expect(lines[0]).toBe(`1 gap - {"fromSeq":1,"lost":${queue.lost},"toSeq":${queue.lost}}`)
  expect(lines.slice(-2)).toEqual(['39 transition odd {}', '40 transition even {}'])
  expect(lines.length - 1 + queue.lost).toBe(40)
})

test('PendingQueue.add() never touches the batch in flight', () => {
  const queue = new PendingQueue(4)
  for (let seq = 1; seq <= 3; seq++) queue.add(given(seq, 'transition', 'r1'))
  expect(queue.take(2).map(({ line }) => line.seq)).toEqual([1, 2])
  for (let seq = 4; seq <= 10; seq++) queue.add(given(seq, 'transition', 'r1'))
  expect(queue.take(2).map(({ line }) => line.seq)).toEqual([1, 2])
  queue.done()
  expect(shown(queue).at(-1)).toBe('10 transition r1 {}')
})

test('PendingQueue.add() keeps the last transition of every router when there are more routers than places', () => {
  const queue = new PendingQueue(8)
  for (let seq = 1; seq <= 100; seq++) queue.add(given(seq, 'transition', `r${seq % 20}`))
  const kept = shown(queue)
  for (let seq = 81; seq <= 100; seq++) expect(kept).toContain(`${seq} transition r${seq % 20} {}`)
  expect(kept.length).toBeLessThanOrEqual(26)
})

test('PendingQueue.add() tells conditions of one router apart by their code', () => {
  const queue = new PendingQueue(4)
  queue.add(given(1, 'condition', 'r1', { code: 'a' }))
  queue.add(given(2, 'condition', 'r1', { code: 'b' }))
  queue.add(given(3, 'condition', 'r1', { code: 'b' }))
  queue.add(given(4, 'condition', 'r1', { code: 'b' }))
  queue.add(given(5, 'condition', 'r1', { code: 'b' }))
  expect(shown(queue).map((text) => text.slice(0, 11))).toEqual([
    '1 condition',
    '2 gap - {"f',
    '4 condition',
    '5 condition',
  ])
})

test('PendingQueue.add() gives up old records of other kinds when no transition or condition is superseded', () => {
  const queue = new PendingQueue(4)
  queue.add(given(1, 'transition', 'r1'))
  for (let seq = 2; seq <= 5; seq++) queue.add(given(seq, 'operation', undefined))
  expect(shown(queue)).toEqual([
    '1 transition r1 {}',
    '2 gap - {"fromSeq":2,"lost":2,"toSeq":3}',
    '4 operation - {}',
    '5 operation - {}',
  ])
})
