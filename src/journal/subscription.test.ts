import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JournalRecord } from './record.ts'
import { subscribe } from './subscription.ts'
import type { Feed } from './subscription.ts'
import { testJournal, transition } from '../../test/support/journal.ts'

const seqsOf = async (records: AsyncIterable<JournalRecord>, count: number): Promise<number[]> => {
  const seqs: number[] = []
  for await (const { seq } of records) if (seqs.push(seq) === count) break
  return seqs
}

const fromTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n)

test('subscribe() gives what is in the file and goes on live', async () => {
  await using home = testJournal()
  const journal = await home.open()
  for (let n = 0; n < 3; n++) await journal.append(transition('r1')).durable
  const read = seqsOf(journal.subscribe({ after: 1 }), 4)
  for (let n = 0; n < 2; n++) await journal.append(transition('r1')).durable
  expect(await read).toEqual([2, 3, 4, 5])
})

test('subscribe() loses and doubles nothing whatever is appended while it reads (property)', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const bursts = fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 700 }), turns: fc.integer({ min: 0, max: 3 }) }),
    { minLength: 1, maxLength: 6 },
  )
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  await fc.assert(
    fc.asyncProperty(bursts, fc.nat(1500), fc.nat(3), async (plan, back, readerTurns) => {
      const after = Math.max(0, journal.status.durableSeq - back)
      const last = journal.status.durableSeq + plan.reduce((sum, { size }) => sum + size, 0)
      const reading = (async () => {
        const seqs: number[] = []
        for await (const { seq } of journal.subscribe({ after, bufferSize: 10_000 })) {
          seqs.push(seq)
          if (seq === last) break
          if (seq % 100 === 0) for (let n = 0; n < readerTurns; n++) await turn()
        }
        return seqs
      })()
      for (const { size, turns } of plan) {
        for (let n = 0; n < size; n++) journal.append(transition(`r${n % 7}`))
        for (let n = 0; n < turns; n++) await turn()
      }
      expect(await reading).toEqual(fromTo(after + 1, last))
    }),
    { numRuns: 25 },
  )
})

test('subscribe() gives one router when asked for one', async () => {
  await using home = testJournal()
  const journal = await home.open()
  for (let n = 0; n < 3; n++) await journal.append(transition('r1')).durable
  await journal.append(transition('r2')).durable
  const read = seqsOf(journal.subscribe({ after: 0, router: 'r2' }), 2)
  await journal.append(transition('r1')).durable
  await journal.append(transition('r2')).durable
  expect(await read).toEqual([4, 6])
})

test('subscribe() ends a slow reader with an error that names where to resume, and resuming completes it', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const reader = journal.subscribe({ after: 0, bufferSize: 5 })
  const first = reader.next()
  await journal.append(transition('r1')).durable
  expect((await first).value?.seq).toBe(1)
  await Promise.all(Array.from({ length: 10 }, () => journal.append(transition('r1')).durable))
  await expect(reader.next()).rejects.toMatchObject({
    code: 'subscriber-too-slow',
    message: 'The subscriber left more than 5 records unread after record 1',
    hint: 'subscribe again after 1',
  })
  expect(await seqsOf(journal.subscribe({ after: 1 }), 10)).toEqual(fromTo(2, 11))
})

test('subscribe() ends without an error when its signal aborts or the journal closes', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const abort = new AbortController()
  const reader = journal.subscribe({ after: 0, signal: abort.signal })
  const closed = seqsOf(journal.subscribe({ after: 0 }), 99)
  await journal.append(transition('r1')).durable
  expect((await reader.next()).value?.seq).toBe(1)
  const waiting = reader.next()
  abort.abort()
  expect(await waiting).toEqual({ done: true, value: undefined })
  await journal.close(1000)
  expect(await closed).toEqual([1])
})

test('subscribe() refuses to begin after a record that is not there yet', async () => {
  await using home = testJournal()
  const journal = await home.open()
  await expect(journal.subscribe({ after: 5 }).next()).rejects.toMatchObject({
    code: 'request-invalid',
    message: 'Cannot subscribe after record 5: the newest record of this journal is 0',
  })
})

const retained: Feed = {
  durableSeq: 20,
  removedThroughSeq: 10,
  read: ({ after }) => Promise.resolve([{ seq: Math.max(after, 10) + 1 } as JournalRecord]),
  listen: () => () => undefined,
}

test('subscribe() says so when retention has removed what the subscriber has not seen', async () => {
  await expect(subscribe(retained, { after: 7 }).next()).rejects.toMatchObject({
    code: 'records-removed',
    message: 'Records 8 to 10 have been removed by retention before they were read',
    hint: 'resume after 10, and take the present state as new',
  })
})

test('subscribe() begins with the oldest record that is kept for who has seen nothing', async () => {
  expect((await subscribe(retained, { after: 0 }).next()).value?.seq).toBe(11)
  expect((await subscribe(retained, { after: 10 }).next()).value?.seq).toBe(11)
})
