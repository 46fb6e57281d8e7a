import { expect, test } from 'vitest'
import { prefix, routerSpec } from '../../test/support/router.ts'
import type { InterfaceSpec, RouterSpec } from '../router/spec.ts'
import { renderFilter } from './vrrp-filter.ts'

/** A router whose HA interface holds these addresses; the first decides the family. */
function spec(addresses: readonly string[], change: Partial<RouterSpec>): RouterSpec {
  const ha: InterfaceSpec = {
    name: 'ha0',
    attach: { kind: addresses.length === 0 ? 'existing' : 'bridge', bridge: 'br-ha' },
    addresses: addresses.map(prefix),
    mtu: undefined,
    macAddress: undefined,
    acceptRouterAdvertisements: false,
  }
  return routerSpec({ interfaces: [ha], ...change })
}

const six = { marker: prefix('fe80::5652:7/64') }

/** The rules that let something through. */
const accepted = (one: RouterSpec) =>
  renderFilter(one)
    .split('\n')
    .filter((line) => line.includes('iifname "'))
    .map((line) => line.trim())

test('renderFilter() lets in of protocol 112 what peers send', () => {
  expect(renderFilter(routerSpec())).toBe(`table inet keepward_vrrp {
  set strangers4 {
    type ipv4_addr . ifname
    size 64
    flags dynamic,timeout
    timeout 300s
  }
  set strangers6 {
    type ipv6_addr . ifname
    size 64
    flags dynamic,timeout
    timeout 300s
  }
  chain input {
    type filter hook input priority -300; policy accept;
    meta l4proto != 112 accept
    iifname "ha0" ip saddr { 169.254.192.2 } ip ttl >= 255 accept
    update @strangers4 { ip saddr . iifname counter }
    update @strangers6 { ip6 saddr . iifname counter }
    drop
  }
  chain output {
    type filter hook output priority 300; policy accept;
    oifname { "ext0" } ip6 saddr :: drop
  }
}
`)
})

test('renderFilter() lets a backup say nothing where all its IPv6 addresses are virtual, and leaves other interfaces alone', () => {
  const [ha, ext] = routerSpec().interfaces
  const more = ['int1', 'int0'].map((name) => ({ ...ext, name }) as InterfaceSpec)
  const own = { ...ext, name: 'own0', addresses: [prefix('2001:db8::2/64')] } as InterfaceSpec
  const dropped = (interfaces: (InterfaceSpec | undefined)[]) =>
    renderFilter(routerSpec({ interfaces: interfaces.filter((one) => one !== undefined) }))
      .split('\n')
      .filter((line) => line.includes('oifname'))
      .map((line) => line.trim())
  expect(dropped([ha, own, ...more])).toEqual(['oifname { "int0", "int1" } ip6 saddr :: drop'])
  expect(dropped([ha, own])).toEqual([])
})

test.each([
  [
    'routed peers with their limit, near ones with 255',
    spec(['10.9.0.1/24'], {
      advertise: { kind: 'unicast', source: '10.9.0.1', peers: ['172.16.0.3', '10.9.0.2', '10.9.0.2'], minTtl: 250 },
    }),
    [
      'iifname "ha0" ip saddr { 10.9.0.2 } ip ttl >= 255 accept',
      'iifname "ha0" ip saddr { 172.16.0.3 } ip ttl >= 250 accept',
    ],
  ],
  [
    'IPv6 peers, of which link-local ones are near',
    spec(['fd00::1/64'], {
      ...six,
      advertise: { kind: 'unicast', source: 'fd00::1', peers: ['fe80::2', 'fd01::2', 'fd00::2'], minTtl: 200 },
    }),
    [
      'iifname "ha0" ip6 saddr { fd00::2, fe80::2 } ip6 hoplimit >= 255 accept',
      'iifname "ha0" ip6 saddr { fd01::2 } ip6 hoplimit >= 200 accept',
    ],
  ],
  [
    'declared peers of multicast',
    spec(['10.9.0.1/24'], { advertise: { kind: 'multicast', peers: ['10.9.0.3', '10.9.0.2'] } }),
    ['iifname "ha0" ip saddr { 10.9.0.2, 10.9.0.3 } ip ttl >= 255 accept'],
  ],
  ['nobody where there are no peers', spec(['10.9.0.1/24'], { advertise: { kind: 'multicast', peers: [] } }), []],
  [
    'the whole link where nobody is declared',
    spec(['10.9.0.1/24', 'fd00::1/64'], { advertise: { kind: 'multicast', peers: undefined } }),
    ['iifname "ha0" ip saddr { 10.9.0.1/24 } ip ttl >= 255 accept'],
  ],
  [
    'whatever no router has passed on where the subnets are unknown',
    spec([], { advertise: { kind: 'multicast', peers: undefined } }),
    ['iifname "ha0" meta nfproto ipv4 ip ttl >= 255 accept'],
  ],
  [
    'link-local IPv6 addresses where nobody is declared',
    spec(['fd00::1/64'], { ...six, advertise: { kind: 'multicast', peers: undefined } }),
    [
      'iifname "ha0" ip6 saddr { fd00::1/64 } ip6 hoplimit >= 255 accept',
      'iifname "ha0" ip6 saddr { fe80::/10 } ip6 hoplimit >= 255 accept',
    ],
  ],
])('renderFilter() lets through %s', (_, one, rules) => {
  expect(accepted(one)).toEqual(rules)
})

const hostile = [
  '10.9.0.2 }',
  '10.9.0.2, 0.0.0.0/0',
  'fe80::2',
  '0.0.0.0/0',
  '',
  'x"',
  '$a',
  '@b',
  '10.9.0.2\ndrop',
  'host',
]

test.each(hostile)('renderFilter() refuses %j as a peer, and does not repeat it', (text) => {
  const peers = [text]
  for (const advertise of [
    { kind: 'multicast', peers },
    { kind: 'unicast', source: '10.9.0.1', peers, minTtl: undefined },
  ] as const)
    expect(() => renderFilter(routerSpec({ advertise }))).toThrow(
      /^Cannot render the config: the peer holds what may not be in it$/,
    )
})

test.each(['ha0"', 'ha*', 'ha 0', '', '-a', 'a\nb', 'sixteencharslong'])(
  'renderFilter() refuses %j as the HA interface',
  (haInterface) => {
    expect(() => renderFilter(routerSpec({ haInterface }))).toThrow('the HA interface holds')
  },
)

test.each([0, 256, 1.5, Number.NaN])('renderFilter() refuses %j as the least hop limit', (minTtl) => {
  const advertise = { kind: 'unicast', source: '169.254.192.1', peers: ['192.0.2.2'], minTtl } as const
  expect(() => renderFilter(routerSpec({ advertise }))).toThrow('the least hop limit holds')
})
