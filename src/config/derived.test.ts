import { expect, test } from 'vitest'
import { formatPrefix } from '../base/address.ts'
import { id, prefix, routerSpec } from '../../test/support/router.ts'
import type { RouterSpec } from '../router/spec.ts'
import { withLinkLocals } from './derived.ts'

const texts = (router: RouterSpec): string[] =>
  withLinkLocals(router).map((one) => `${formatPrefix(one)} ${one.interface}`)

const virtual = (...list: string[]): RouterSpec['virtualAddresses'] =>
  list.map((text) => ({ ...prefix(text), interface: 'ext0' }))

test('withLinkLocals() puts a link-local address before IPv6 ones, the same on every host', () => {
  const virtualAddresses = virtual('203.0.113.10/24', '2001:db8:1::1/64', '2001:db8:1::2/64')
  const wanted = ['fe80::cba:c0a8:d604:ef6b/64 ext0', ...virtualAddresses.map((one) => `${formatPrefix(one)} ext0`)]
  expect(texts(routerSpec({ virtualAddresses }))).toEqual(wanted)
  expect(texts(routerSpec({ virtualAddresses, vrid: 9, priority: 50 }))).toEqual(wanted)
  expect(texts(routerSpec({ virtualAddresses, id: id('r2') }))[0]).not.toBe(wanted[0])
})

test('withLinkLocals() adds none to a link with a declared one, without IPv6, or with an IPv6 address of the host', () => {
  for (const virtualAddresses of [virtual('2001:db8:1::1/64', 'fe80::1/64'), virtual('203.0.113.10/24')])
    expect(withLinkLocals(routerSpec({ virtualAddresses }))).toEqual(virtualAddresses)
  const virtualAddresses = virtual('2001:db8:1::1/64')
  const interfaces = routerSpec().interfaces.map((one) =>
    one.name === 'ext0' ? { ...one, addresses: [prefix('2001:db8:1::a/64')] } : one,
  )
  expect(withLinkLocals(routerSpec({ virtualAddresses, interfaces }))).toEqual(virtualAddresses)
})
