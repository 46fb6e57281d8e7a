import { expect, test } from 'vitest'
import { prefix, routerSpec } from '../../test/support/router.ts'
import type { Nat } from '../router/spec.ts'
import { renderNat } from './nat-table.ts'

const render = (nat: Partial<Nat>) => renderNat(routerSpec({ nat: { sources: [], floating: [], ...nat } }))

test('renderNat() renders nothing where nothing is translated', () => {
  expect(renderNat(routerSpec())).toBeUndefined()
})

test('renderNat() translates sources by the interface that they leave by, and spares adverts', () => {
  const sources = [
    { from: [prefix('10.0.0.0/24'), prefix('10.0.1.0/24')], interface: 'ext0', to: '203.0.113.10' },
    { from: [prefix('0.0.0.0/0'), prefix('::/0')], interface: 'ext1', to: undefined },
  ]
  expect(render({ sources })).toBe(`table inet keepward_nat {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    meta l4proto 112 accept
    oifname "ext0" ip saddr 10.0.0.0/24 snat ip to 203.0.113.10
    oifname "ext0" ip saddr 10.0.1.0/24 snat ip to 203.0.113.10
    oifname "ext1" ip saddr 0.0.0.0/0 masquerade
    oifname "ext1" ip6 saddr ::/0 masquerade
  }
}
`)
})

test('renderNat() translates floating addresses both ways, also for neighbours inside, and before sources', () => {
  const floating = [
    { inside: '10.0.0.5', outside: '203.0.113.20', interface: 'ext0' },
    { inside: '10.0.0.6', outside: '198.51.100.6', interface: 'ext1' },
    { inside: 'fd00::5', outside: '2001:db8::5', interface: 'ext0' },
  ]
  const sources = [{ from: [prefix('10.0.0.0/24')], interface: 'ext0', to: '203.0.113.10' }]
  expect(render({ floating, sources })).toBe(`table inet keepward_nat {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    dnat ip to ip daddr map { 203.0.113.20 : 10.0.0.5, 198.51.100.6 : 10.0.0.6 }
    dnat ip6 to ip6 daddr map { 2001:db8::5 : fd00::5 }
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    meta l4proto 112 accept
    oifname "ext0" snat ip to ip saddr map { 10.0.0.5 : 203.0.113.20 }
    oifname "ext1" snat ip to ip saddr map { 10.0.0.6 : 198.51.100.6 }
    ct status dnat ip daddr { 10.0.0.5, 10.0.0.6 } snat ip to ip saddr map { 10.0.0.5 : 203.0.113.20, 10.0.0.6 : 198.51.100.6 }
    oifname "ext0" snat ip6 to ip6 saddr map { fd00::5 : 2001:db8::5 }
    ct status dnat ip6 daddr { fd00::5 } snat ip6 to ip6 saddr map { fd00::5 : 2001:db8::5 }
    oifname "ext0" ip saddr 10.0.0.0/24 snat ip to 203.0.113.10
    ct status dnat ip daddr { 10.0.0.5, 10.0.0.6 } ip saddr 10.0.0.0/24 snat ip to 203.0.113.10
  }
}
`)
})

const one = { inside: '10.0.0.5', outside: '203.0.113.20', interface: 'ext0' }
const source = { from: [prefix('10.0.0.0/24')], interface: 'ext0', to: '203.0.113.10' }

test.each<readonly [string, Partial<Nat>]>([
  ['inner address', { floating: [{ ...one, inside: '10.0.0.5 }' }] }],
  ['inner address', { floating: [{ ...one, inside: 'fd00::5' }] }],
  ['outer address', { floating: [{ ...one, outside: '203.0.113.20 : 10.0.0.5, 1.1.1.1' }] }],
  ['interface', { floating: [{ ...one, interface: 'ext0" accept' }] }],
  ['interface', { sources: [{ ...source, interface: '' }] }],
  ['source address', { sources: [{ ...source, to: '203.0.113.10:1-2' }] }],
  ['source address', { sources: [{ ...source, to: 'fd00::1' }] }],
  ['network', { sources: [{ ...source, from: [{ family: 4, address: '10.0.0.0', prefixLength: 33 }] }] }],
])('renderNat() refuses what is no %s: %j', (what, nat) => {
  expect(() => render(nat)).toThrow(new RegExp(`^Cannot render the config: the ${what} holds what may not be in it$`))
})
