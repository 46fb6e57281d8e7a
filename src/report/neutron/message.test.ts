import { expect, test } from 'vitest'
import { encode, excerpt, newId, parseReply, type StateMessage } from './message.ts'

const message: StateMessage = {
  host: 'network-1',
  states: { '6f1bd0a5-2f1c-4f3f-9f14-6d2f8f0e5a01': 'active' },
  uniqueId: '0123456789abcdef0123456789abcdef',
  requestId: 'req-3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  atMs: 1_700_000_000_123,
  call: undefined,
}

const call = {
  id: 'fedcba9876543210fedcba9876543210',
  replyQueue: 'reply_00112233445566778899aabbccddeeff',
  timeoutMs: 9000,
}

const context =
  '"_context_user":null,"_context_user_id":null,"_context_user_name":null,"_context_tenant_id":null,"_context_tenant_name":null,' +
  '"_context_project":null,"_context_project_id":null,"_context_project_name":null,"_context_domain":null,"_context_user_domain":null,' +
  '"_context_project_domain":null,"_context_system_scope":null,"_context_auth_token":null,"_context_global_request_id":null,' +
  '"_context_resource_uuid":null,"_context_user_identity":"- - - - -","_context_is_admin":true,"_context_is_admin_project":true,' +
  '"_context_read_only":false,"_context_show_deleted":false,"_context_request_id":"req-3f2504e0-4f89-41d3-9a0c-0305e82c3301",' +
  '"_context_roles":[],"_context_timestamp":"2023-11-14 22:13:20.123000"}'

const start =
  '{"method":"update_ha_routers_states","args":{"host":"network-1","states":{"6f1bd0a5-2f1c-4f3f-9f14-6d2f8f0e5a01":"active"}},' +
  '"version":"1.5","_unique_id":"0123456789abcdef0123456789abcdef",'

const inner = (content: Buffer): unknown => (JSON.parse(content.toString()) as Record<string, unknown>)['oslo.message']

test('encode() is the cast of an L3 agent, byte for byte', () => {
  const { content, properties } = encode(message)
  expect(content.toString().slice(0, 76)).toBe(
    String.raw`{"oslo.version":"2.0","oslo.message":"{\"method\":\"update_ha_routers_states`,
  )
  expect(inner(content)).toBe(start + context)
  expect(properties).toEqual({
    ...{ contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 2, priority: 0, headers: {} },
  })
})

test('encode() as a call says where the answer is to go, and expires', () => {
  const { content, properties } = encode({ ...message, call })
  const asked =
    '"_msg_id":"fedcba9876543210fedcba9876543210","_reply_q":"reply_00112233445566778899aabbccddeeff","_timeout":9,'
  expect(inner(content)).toBe(start + asked + context)
  expect(properties.expiration).toBe('9000')
})

test('a message that is sent again has the same bytes, a new one a new id', () => {
  expect(encode(message).content.equals(encode(message).content)).toBe(true)
  expect(newId()).toMatch(/^[0-9a-f]{32}$/)
  expect(newId()).not.toBe(newId())
})

const replied = (reply: unknown, version = '2.0') =>
  Buffer.from(JSON.stringify({ 'oslo.version': version, 'oslo.message': JSON.stringify(reply) }))

const done = { result: null, failure: null, ending: true, _msg_id: 'c1', _unique_id: 'u1' }
const failure = {
  ...{ class: 'DBError', module: 'oslo_db.exception', message: 'lost\u0007' },
  ...{ tb: ['secret path'], args: ['secret argument'], kwargs: {} },
}

test.each<[string, unknown, unknown]>([
  ['a result', done, { callId: 'c1', kind: 'done' }],
  ['a sign of life', { ...done, ending: false }, { callId: 'c1', kind: 'progress' }],
  [
    'an exception',
    { ...done, failure: JSON.stringify(failure) },
    { callId: 'c1', kind: 'failed', exception: 'DBError', text: String.raw`DBError: lost\u{7}` },
  ],
  [
    'no failure, which must be there',
    { result: null, ending: true, _msg_id: 'c1' },
    { callId: 'c1', kind: 'failed', exception: '', text: 'an answer of an unknown form' },
  ],
  [
    'a failure that is no JSON',
    { ...done, failure: '{' },
    { callId: 'c1', kind: 'failed', exception: '', text: 'an answer of an unknown form' },
  ],
  [
    'an exception without words',
    { ...done, failure: '{}' },
    { callId: 'c1', kind: 'failed', exception: '', text: 'an exception without a name' },
  ],
  ['an answer to nobody', { ...done, _msg_id: 7 }, undefined],
  ['a list', [], undefined],
])('parseReply() of %s', (_, reply, wanted) => {
  expect(parseReply(replied(reply))).toEqual(wanted)
})

test('parseReply() takes nothing that is too long, no JSON, or of another envelope', () => {
  expect(parseReply(replied({ ...done, result: 'x'.repeat(1024 * 1024) }))).toBeUndefined()
  expect(parseReply(Buffer.from('{"oslo.version":'))).toBeUndefined()
  expect(parseReply(Buffer.from([0xff, 0xfe]))).toBeUndefined()
  expect(parseReply(replied(done, '3.0'))).toBeUndefined()
  // Neither can be made a text.
  expect(parseReply(Buffer.from('{"oslo.version":{"toString":1}}'))).toBeUndefined()
  expect(parseReply(Buffer.from(`{"oslo.version":${'['.repeat(4e5)}${']'.repeat(4e5)}}`))).toBeUndefined()
  expect(parseReply(Buffer.from(JSON.stringify(done)))).toBeUndefined()
})

test('excerpt() is short and has no control characters', () => {
  expect(excerpt('\u001b[31mred')).toBe(String.raw`\u{1b}[31mred`)
  expect(excerpt('x'.repeat(1e6))).toHaveLength(203)
  expect(excerpt('\u0000'.repeat(200))).toHaveLength(203)
})
