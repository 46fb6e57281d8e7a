import { expect, test } from 'vitest'
import { at, routerSpec, signed } from '../../test/support/router.ts'
import { judgeAuthentication, secretsOf } from './authentication.ts'
import { compareConditions, conditions } from './condition.ts'
import type { RouterSpec } from './spec.ts'

const judge = (authentication: RouterSpec['authentication']) =>
  judgeAuthentication(routerSpec({ authentication })).map(([code]) => [code, conditions[code].severity])

test('judgeAuthentication() notes where nobody signs, warns of a password, and has nothing against enforced signatures', () => {
  expect(judge({ kind: 'none' })).toEqual([['vrrp-unauthenticated', 'info']])
  expect(judge({ kind: 'pass', password: { kind: 'file', path: '/etc/p' } })).toEqual([['vrrp-password', 'warning']])
  expect(judge({ ...signed, mode: 'permissive' } as RouterSpec['authentication'])).toEqual([
    ['vrrp-unauthenticated', 'info'],
  ])
  expect(judge(signed)).toEqual([])
})

test('secretsOf() names the password, and each key', () => {
  const source = { kind: 'command', argv: ['/bin/say'] } as const
  expect(secretsOf({ kind: 'none' })).toEqual([])
  expect(secretsOf({ kind: 'pass', password: source })).toEqual([{ of: 'pass', source }])
  expect(secretsOf(signed)).toEqual([
    { of: 'hmac key 1', source: { kind: 'file', path: '/etc/keepward/secrets/r1-1' } },
  ])
})

test('compareConditions() shows a note that follows from the config, and has no record of it at each start', () => {
  const told = new Map([
    ['vrrp-unauthenticated', 'no signature'],
    ['vrrp-password', 'clear text'],
  ] as const)
  const { raised, changes } = compareConditions(new Map(), told, at(0))
  expect([...raised.keys()]).toEqual(['vrrp-unauthenticated', 'vrrp-password'])
  expect(changes.map(({ condition }) => condition.code)).toEqual(['vrrp-password'])
  expect(compareConditions(raised, new Map(), at(1)).changes).toHaveLength(1)
})
