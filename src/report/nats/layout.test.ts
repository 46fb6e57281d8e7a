import { expect, test } from 'vitest'
import { descriptionOf, eventSubject, idOf, inboxOf, streams, tokenOf, versionIn } from './layout.ts'

test.each([
  ['host1', 'host1'],
  ['a.b-c_d.E', 'a=2Eb-c_d=2EE'],
  ['x..', 'x=2E=2E'],
])('tokenOf() makes of the id %s the one token %s, and idOf() the id again', (id, token) => {
  expect(tokenOf(id)).toBe(token)
  expect(idOf(token)).toBe(id)
})

test('no two agents share a subject or an inbox when their ids hold dots', () => {
  expect(eventSubject('a.b', 'c')).toBe('keepward.v1.event.a=2Eb.c')
  expect(eventSubject('a', 'b.c')).toBe('keepward.v1.event.a.b=2Ec')
  expect(inboxOf('a.b')).toBe('_INBOX.a=2Eb')
})

test('versionIn() knows the layout of a stream by its description', () => {
  expect(streams.map((layout) => versionIn(descriptionOf(layout)))).toEqual([1, 1, 1])
  expect(versionIn('Keepward layout 12: what a newer one writes')).toBe(12)
  for (const other of [undefined, '', 'mine', 'Keepward layout x: y']) expect(versionIn(other)).toBeUndefined()
})
