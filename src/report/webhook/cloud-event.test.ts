import { expect, test } from 'vitest'
import { transitionReport } from '../../../test/support/webhook.ts'
import { cloudEvent } from './cloud-event.ts'
import { wants } from './filter.ts'

test('cloudEvent() is CloudEvents 1.0 in structured JSON', () => {
  expect(JSON.stringify(cloudEvent(transitionReport('r1', 7)), null, 1)).toBe(`{
 "specversion": "1.0",
 "id": "host.1:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.2:7",
 "source": "/keepward/agents/host.1",
 "type": "io.keepward.router.transition.v1",
 "subject": "r1",
 "time": "2026-11-22T04:00:00.250Z",
 "datacontenttype": "application/json",
 "journal": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
 "sequence": "0000000000000007",
 "data": {
  "version": 1,
  "seq": 7,
  "kind": "transition",
  "agent": "host.1",
  "epoch": {
   "journal": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
   "start": 2
  },
  "boot": "b",
  "at": {
   "wallMs": 1795320000250.5,
   "monoMs": 12.5
  },
  "late": false,
  "body": {
   "from": "backup",
   "to": "primary"
  },
  "previous": "${'0'.repeat(64)}",
  "hash": "${'1'.repeat(64)}",
  "router": "r1",
  "routerSeq": 3,
  "fromSeq": 5
 }
}`)
})

test('cloudEvent() of a moment that is no date has no time', () => {
  const { record, ...rest } = transitionReport('r1', 7)
  const event = cloudEvent({ ...rest, record: { ...record, at: { wallMs: 1e17, monoMs: 1 } } })
  expect('time' in event).toBe(false)
})

test('cloudEvent() names attributes as the specification asks for (3.1)', () => {
  for (const name of Object.keys(cloudEvent(transitionReport('r1', 7)))) expect(name).toMatch(/^[a-z0-9]{1,20}$/)
})

const all = { routers: undefined, kinds: undefined, roles: undefined }

test.each([
  [all, true],
  [{ ...all, routers: ['r2', 'r1'] }, true],
  [{ ...all, routers: ['r2'] }, false],
  [{ ...all, kinds: ['transition'] }, true],
  [{ ...all, kinds: ['condition'] }, false],
  [{ ...all, roles: ['primary'] }, true],
  [{ ...all, roles: ['backup', 'fault'] }, false],
  [{ routers: ['r1'], kinds: ['transition'], roles: ['backup'] }, false],
  [{ ...all, routers: [] }, false],
])('wants() of a transition of r1 to primary by %j is %s', (filter, wanted) => {
  expect(wants(filter, transitionReport('r1', 7))).toBe(wanted)
})

test('wants() asks for roles of transitions alone', () => {
  const { record, ...rest } = transitionReport('r1', 7)
  const condition = { ...rest, record: { ...record, kind: 'condition' as const, body: {} } }
  expect(wants({ ...all, roles: ['fault'] }, condition)).toBe(true)
})
