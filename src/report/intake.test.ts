import { expect, test } from 'vitest'
import { transition } from '../../test/support/journal.ts'
import type { JournalRecord } from '../journal/record.ts'
import type { JournalStatus } from '../journal/writer.ts'
import { takeIn } from './intake.ts'
import { Outbox } from './outbox.ts'

const record = (seq: number, router: string): JournalRecord => ({
  ...{ ...transition(router), seq, routerSeq: 1, agent: 'host1', epoch: { journal: 'e'.repeat(32), start: 1 } },
  ...{ boot: 'b', late: false, previous: '', hash: '' },
})

const statusFrom = (retainedFromSeq: number): JournalStatus => ({
  ...{ kind: 'ok', pending: 0, oldestPendingMonoMs: undefined, durableSeq: 9, retainedFromSeq },
  ...{ sizeBytes: 0, commits: 0, lost: 0 },
})

test('takeIn() takes in what retention takes while the first page is read', async () => {
  const outbox = new Outbox('history', 0)
  const ending = new AbortController()
  let status = statusFrom(1)
  await takeIn({
    journal: {
      newest: new Map([record(3, 'quiet'), record(9, 'busy')].map((one) => [one.router ?? '', one])),
      get status() {
        return status
      },
      // As it does for whoever has read nothing yet: it begins with what is there by then.
      async *subscribe() {
        status = statusFrom(9)
        yield await Promise.resolve(record(9, 'busy'))
      },
    },
    outbox,
    signal: ending.signal,
    onRead: () => undefined,
    onError: (error) => {
      throw error
    },
  })
  const told = [outbox.next(0), outbox.next(0)].map((due) => [due?.report.router, due?.report.record.seq])
  expect(told).toEqual([
    ['quiet', 3],
    ['busy', 9],
  ])
})
