import { expect, test } from 'vitest'
import { reportOf, routerOf } from '../../../test/support/neutron-sink.ts'
import { parseBroker } from './broker.ts'
import { translate } from './translate.ts'

test.each([
  ['primary', 'active'],
  ['backup', 'standby'],
  ['fault', 'standby'],
  ['unknown', 'unknown'],
])('translate() says %s as %s', (role, state) => {
  expect(translate(reportOf(routerOf(1), role))).toBe(state)
})

test.each(['r1', '', '6F1BD0A5-2F1C-4F3F-9F14-6D2F8F0E5A01', '6f1bd0a5-2f1c-4f3f-9f14-6d2f8f0e5a01\n'])(
  'translate() refuses a router that cannot be one of Neutron’s: %j',
  (router) => {
    expect(() => translate(reportOf(router, 'primary'))).toThrow(
      expect.objectContaining({
        code: 'report-refused',
        message: `Router ${JSON.stringify(router)} is none of Neutron's: its id is no UUID in lower case`,
      }) as Error,
    )
  },
)

test('translate() refuses a role that there is not, and has nothing to say of what is no change of role', () => {
  expect(() => translate(reportOf(routerOf(1), 'master'))).toThrow('Neutron knows no role "master"')
  const { record, ...rest } = reportOf('r1', 'primary')
  expect(translate({ ...rest, record: { ...record, kind: 'condition' } })).toBeUndefined()
})

test('parseBroker() reads addresses with their ports, and repeats no password', () => {
  expect(parseBroker('amqps://one.example', false)).toMatchObject({ isTls: true, host: 'one.example', port: 5671 })
  expect(parseBroker('amqps://[2001:db8::1]:5000', false)).toMatchObject({ host: '2001:db8::1', port: 5000 })
  expect(parseBroker('amqp://one.example/', true)).toMatchObject({ isTls: false, port: 5672 })
  expect(() => parseBroker('amqp://one.example', false)).toThrow('must be allowed by plaintext: true')
  for (const bad of [
    '',
    'one.example',
    'https://one.example',
    'amqps://',
    'amqps://one.example/vhost',
    'amqps://one?x=1',
  ])
    expect(() => parseBroker(bad, false), bad).toThrow(expect.objectContaining({ code: 'request-invalid' }) as Error)
  expect(() => parseBroker('amqps://user:hunter2@one.example', false)).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining('hunter2') as string }) as Error,
  )
})
