import { expect, test } from 'vitest'
import type { Journal } from '../journal/journal.ts'
import { ownConditions } from './own-conditions.ts'

const none = { config: [], stateChange: undefined, host: undefined, anchors: undefined }

function unavailable(pending: number, lost: number): Journal['status'] {
  const figures = { oldestPendingMonoMs: 0, durableSeq: 1, retainedFromSeq: 1, sizeBytes: 0, commits: 1 }
  return { kind: 'unavailable', since: { wallMs: 0, monoMs: 0 }, reason: 'disk full', pending, lost, ...figures }
}

test.each([
  [0, 0, 'disk full; 0 records wait in memory'],
  [1, 0, 'disk full; 1 record waits in memory'],
  [27, 0, 'disk full; 27 records wait in memory'],
  [10_000, 1, 'disk full; 10000 records wait in memory, 1 older one given up'],
  [10_000, 250, 'disk full; 10000 records wait in memory, 250 older ones given up'],
])('ownConditions() of %i waiting and %i lost records says %s', (pending, lost, says) => {
  expect([...ownConditions(unavailable(pending, lost), none)]).toEqual([['journal-unavailable', says]])
})
