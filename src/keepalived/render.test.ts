import { expect, test } from 'vitest'
import { Secret } from '../base/secret.ts'
import { parsePrefix, type Prefix } from '../base/address.ts'
import { parseRouterId, type RouterSpec } from '../router/spec.ts'
import type { KeepalivedFeatures } from './features.ts'
import { renderConfig, startupDelayMs } from './render.ts'

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

const id = parseRouterId('r1')
if (id === undefined) throw new Error('r1')

const features: KeepalivedFeatures = {
  version: { major: 2, minor: 2, patch: 7 },
  options: new Set(['VRRP', 'VRRP_AUTH', 'JSON']),
  dumpSignal: 36,
}
const context = { fifoPath: '/run/keepward/notify.fifo' }

const small: RouterSpec = {
  id,
  namespace: 'r1',
  vrid: 7,
  vrrpVersion: 3,
  advertisementIntervalMs: 100,
  priority: 100,
  preempt: { kind: 'never' },
  haInterface: 'ha0',
  interfaces: [
    {
      name: 'ha0',
      attach: { kind: 'existing' },
      addresses: [prefix('10.9.0.1/24')],
      mtu: undefined,
      macAddress: undefined,
      acceptRouterAdvertisements: false,
    },
  ],
  marker: prefix('169.254.0.7/24'),
  virtualAddresses: [],
  announcements: { repeat: 3, delayS: 5, refreshS: 60, pauseMs: 0 },
  virtualRoutes: [],
  advertise: { kind: 'multicast', peers: undefined },
  routerAdvertisements: [],
  hooks: [],
  flaps: { changes: 10, windowMs: 60_000 },
  metadata: undefined,
  authentication: { kind: 'none' },
  trackedInterfaces: ['ha0'],
}

const full: RouterSpec = {
  ...small,
  preempt: { kind: 'after', delayMs: 1500 },
  virtualAddresses: [
    { ...prefix('2001:db8::1/64'), interface: 'qr0' },
    { ...prefix('192.0.2.9/24'), interface: 'qr0' },
    { ...prefix('192.0.2.1/24'), interface: 'qr0' },
    { ...prefix('198.51.100.1/24'), interface: 'ha0' },
  ],
  virtualRoutes: [
    { destination: prefix('0.0.0.0/0'), via: '192.0.2.254', interface: 'qr0', metric: 50 },
    { destination: prefix('::/0'), via: '2001:db8::ff', interface: undefined, metric: undefined },
  ],
  advertise: { kind: 'unicast', source: '10.9.0.1', peers: ['172.16.0.3', '10.9.0.2'], minTtl: undefined },
  trackedInterfaces: ['up0', 'ha0'],
}

test('renderConfig() puts the marker alone in virtual_ipaddress and starts as backup', () => {
  expect(renderConfig(small, features, context)).toBe(`global_defs {
    router_id "r1"
    script_user root
    enable_script_security
    umask 0177
    vrrp_startup_delay 1
    vrrp_notify_fifo "/run/keepward/notify.fifo"
}
vrrp_instance "r1" {
    state BACKUP
    interface ha0
    virtual_router_id 7
    version 3
    priority 100
    advert_int 0.1
    nopreempt
    garp_master_delay 5
    garp_master_repeat 3
    garp_master_refresh 60
    higher_prio_send_advert true
    garp_lower_prio_delay 5
    garp_lower_prio_repeat 3
    virtual_ipaddress {
        169.254.0.7/24 dev ha0
    }
}
`)
})

test('renderConfig() tracks what is tracked only, and asks hop limit 255 of peers that are on the link', () => {
  expect(renderConfig(full, features, context).split('vrrp_instance')[1]).toBe(` "r1" {
    state BACKUP
    interface ha0
    virtual_router_id 7
    version 3
    priority 100
    advert_int 0.1
    preempt_delay 1.5
    garp_master_delay 5
    garp_master_repeat 3
    garp_master_refresh 60
    higher_prio_send_advert true
    garp_lower_prio_delay 5
    garp_lower_prio_repeat 3
    unicast_src_ip 10.9.0.1
    check_unicast_src
    unicast_peer {
        10.9.0.2 min_ttl 255
        172.16.0.3
    }
    track_interface {
        up0
    }
    virtual_ipaddress {
        169.254.0.7/24 dev ha0
    }
    virtual_ipaddress_excluded {
        198.51.100.1/24 dev ha0
        192.0.2.9/24 dev qr0 no_track
        192.0.2.1/24 dev qr0 no_track
        2001:db8::1/64 dev qr0 no_track
    }
    virtual_routes {
        0.0.0.0/0 via 192.0.2.254 dev qr0 metric 50 protocol 152 no_track
        ::/0 via 2001:db8::ff protocol 152 no_track
    }
}
`)
})

test('renderConfig() renders dont_track_primary and no_track for the marker when the HA interface is not tracked', () => {
  const text = renderConfig({ ...small, trackedInterfaces: [] }, features, context)
  expect(text).toContain('    dont_track_primary\n')
  expect(text).toContain('        169.254.0.7/24 dev ha0 no_track\n')
})

test('renderConfig() is the same text when only the order of lists without an order differs', () => {
  const reordered: RouterSpec = {
    ...full,
    virtualAddresses: [3, 1, 2, 0].flatMap((at) => full.virtualAddresses[at] ?? []),
    advertise: {
      kind: 'unicast',
      source: '10.9.0.1',
      peers: ['10.9.0.2', '172.16.0.3', '10.9.0.2'],
      minTtl: undefined,
    },
    trackedInterfaces: ['ha0', 'up0'],
  }
  expect(renderConfig(reordered, features, context)).toBe(renderConfig(full, features, context))
})

test('renderConfig() keeps the order of addresses of one subnet, since the first is the source address', () => {
  const swapped = { ...full, virtualAddresses: [0, 2, 1, 3].flatMap((at) => full.virtualAddresses[at] ?? []) }
  expect(renderConfig(swapped, features, context)).not.toBe(renderConfig(full, features, context))
})

test('renderConfig() makes an IPv6 marker a native IPv6 instance of VRRPv3', () => {
  const six: RouterSpec = { ...small, marker: prefix('fe80::a9fe:7/64') }
  expect(renderConfig(six, features, context)).toContain('    version 3\n    native_ipv6\n')
  expect(() => renderConfig({ ...six, vrrpVersion: 2, advertisementIntervalMs: 1000 }, features, context)).toThrow(
    'an IPv6 marker needs VRRP version 3',
  )
})

test('renderConfig() asks no hop limit of IPv6 peers, of whom keepalived 2.2.7 would refuse every advert, and sends 255', () => {
  const six: RouterSpec = {
    ...small,
    marker: prefix('fe80::a9fe:7/64'),
    interfaces: small.interfaces.map((one) =>
      one.name === small.haInterface ? { ...one, addresses: [prefix('fe80::1/64')] } : one,
    ),
    advertise: { kind: 'unicast', source: 'fe80::1', peers: ['fe80::2'], minTtl: undefined },
  }
  expect(renderConfig(six, features, context)).toContain(
    '    unicast_ttl 255\n    unicast_peer {\n        fe80::2\n    }\n',
  )
})

test('renderConfig() advertises from an address that peers can declare, where multicast has declared peers', () => {
  const six = { marker: prefix('fe80::a9fe:7/64') }
  const own = (addresses: readonly string[], change: Partial<RouterSpec>) =>
    renderConfig(
      {
        ...small,
        ...change,
        interfaces: small.interfaces.map((one) => ({ ...one, addresses: addresses.map(prefix) })),
      },
      features,
      context,
    )
  const declared: Partial<RouterSpec> = { advertise: { kind: 'multicast', peers: [] } }
  expect(own(['fd00::1/64', 'fe80::1/64', '10.9.0.1/24'], { ...declared, ...six })).toContain(
    '    mcast_src_ip fe80::1\n',
  )
  expect(own(['fe80::1/64', '10.9.0.1/24', '10.8.0.1/24'], declared)).toContain('    mcast_src_ip 10.9.0.1\n')
  expect(own([], declared)).not.toContain('mcast_src_ip')
  expect(own(['10.9.0.1/24'], {})).not.toContain('mcast_src_ip')
})

test('renderConfig() writes intervals as keepalived reads them', () => {
  const interval = (vrrpVersion: 2 | 3, advertisementIntervalMs: number) =>
    /advert_int (.*)/.exec(renderConfig({ ...small, vrrpVersion, advertisementIntervalMs }, features, context))?.[1]
  expect(interval(2, 2000)).toBe('2')
  expect(interval(3, 10)).toBe('0.01')
  expect(interval(3, 1250)).toBe('1.25')
  expect(interval(3, 40_950)).toBe('40.95')
  expect(() => interval(2, 1500)).toThrow('advertisement interval')
  expect(() => interval(3, 15)).toThrow('advertisement interval')
  expect(() => interval(3, 40_960)).toThrow('advertisement interval')
})

test('startupDelayMs() is one advertisement interval and at least a second', () => {
  expect(startupDelayMs({ advertisementIntervalMs: 100 })).toBe(1000)
  expect(startupDelayMs({ advertisementIntervalMs: 2000 })).toBe(2000)
})

test('renderConfig() renders the password of VRRPv2 and refuses what cannot carry one', () => {
  const pass: RouterSpec = {
    ...small,
    vrrpVersion: 2,
    advertisementIntervalMs: 1000,
    authentication: { kind: 'pass', password: { kind: 'file', path: '/etc/keepward/r1.pass' } },
  }
  expect(renderConfig(pass, features, { ...context, password: new Secret('s3cret') })).toContain(
    '    authentication {\n        auth_type PASS\n        auth_pass "s3cret"\n    }\n',
  )
  expect(() => renderConfig(pass, features, context)).toThrow('its password was not read')
  const secret = { ...context, password: new Secret('a"\nx') }
  expect(() => renderConfig(pass, features, secret)).toThrow(/^Cannot render the keepalived config: the password holds/)
  expect(() => renderConfig({ ...pass, vrrpVersion: 3 }, features, secret)).toThrow('VRRP version 3 has no password')
  expect(() => renderConfig(pass, { ...features, options: new Set() }, secret)).toThrow('built without')
})

test('renderConfig() refuses a password that keepalived would cut off, and does not repeat it', () => {
  const pass: RouterSpec = {
    ...small,
    vrrpVersion: 2,
    advertisementIntervalMs: 1000,
    authentication: { kind: 'pass', password: { kind: 'file', path: '/etc/keepward/r1.pass' } },
  }
  expect(() => renderConfig(pass, features, { ...context, password: new Secret('correcthorse') })).toThrow(
    expect.objectContaining({
      message: 'Cannot render the keepalived config of router r1: its password has 12 characters, must have 1 to 8',
      hint: 'VRRPv2 carries 8, in clear text: shorten it on all hosts at one time; for a secret, use hmac',
    }),
  )
})

const hmac: RouterSpec = {
  ...small,
  authentication: {
    kind: 'hmac',
    keys: [
      { id: 2, file: '/etc/keepward/secrets/r1-2' },
      { id: 1, file: '/etc/keepward/secrets/r1-1' },
    ],
    activeKey: 2,
    mode: 'permissive',
  },
}
const modern: KeepalivedFeatures = { ...features, version: { major: 2, minor: 4, patch: 3 } }

// What the manual of keepalived 2.4 says of auth_hmac; no such version has tested this text.
test('renderConfig() renders hmac as keepalived 2.4.3 reads it, with the keys in their files', () => {
  expect(renderConfig(hmac, modern, context)).toContain(`    advert_int 0.1
    nopreempt
    garp_master_delay 5
    garp_master_repeat 3
    garp_master_refresh 60
    higher_prio_send_advert true
    garp_lower_prio_delay 5
    garp_lower_prio_repeat 3
    auth_hmac {
        key 1 file:/etc/keepward/secrets/r1-1
        key 2 file:/etc/keepward/secrets/r1-2
        active_key 2
        anti_replay time
        mode permissive
    }
`)
})

test.each([
  [{ major: 2, minor: 4, patch: 2 }, ['VRRP_AUTH'], 'keepalived is version 2.4.2, and hmac needs 2.4.3 or newer'],
  [{ major: 2, minor: 2, patch: 7 }, ['VRRP_AUTH'], 'keepalived is version 2.2.7, and hmac needs 2.4.3 or newer'],
  [{ major: 2, minor: 5, patch: 0 }, [], 'keepalived is version 2.5.0, built without VRRP_AUTH, and hmac needs'],
])('renderConfig() refuses hmac of keepalived %j with %j, with a hint', (version, options, says) => {
  expect(() => renderConfig(hmac, { ...features, version, options: new Set(options) }, context)).toThrow(
    expect.objectContaining({
      code: 'config-invalid',
      message: expect.stringContaining(says) as string,
      hint: expect.stringContaining('install keepalived 2.4.3 or newer') as string,
    }),
  )
})

test.each(['/etc/k y', '/etc/../k', 'k', '/etc/k}', '/etc/k\nmode permissive'])(
  'renderConfig() refuses %j as a key file',
  (file) => {
    const authentication = { kind: 'hmac', keys: [{ id: 1, file }], activeKey: 1, mode: 'enforce' } as const
    expect(() => renderConfig({ ...small, authentication }, modern, context)).toThrow('the key file holds')
  },
)

const hostile = ['a b', 'a\nscript', 'a"', 'a{', 'a}', '$A', '@a', 'a!', 'a#', '~a', 'a\\', "a'", 'a;', '', '-a', 'é']

test.each(hostile)('renderConfig() lets nothing like %j through', (text) => {
  const specs: Partial<RouterSpec>[] = [
    { id: text as RouterSpec['id'] },
    { haInterface: text },
    { trackedInterfaces: [text] },
    { marker: { family: 4, address: text, prefixLength: 24 } },
    { virtualAddresses: [{ family: 4, address: text, prefixLength: 24, interface: 'qr0' }] },
    { virtualAddresses: [{ ...prefix('192.0.2.1/24'), interface: text }] },
    { virtualRoutes: [{ destination: prefix('0.0.0.0/0'), via: text, interface: 'qr0', metric: undefined }] },
    { virtualRoutes: [{ destination: prefix('0.0.0.0/0'), via: undefined, interface: text, metric: undefined }] },
    { advertise: { kind: 'unicast', source: text, peers: ['10.9.0.2'], minTtl: undefined } },
    { advertise: { kind: 'unicast', source: '10.9.0.1', peers: [text], minTtl: undefined } },
  ]
  for (const spec of specs) expect(() => renderConfig({ ...small, ...spec }, features, context)).toThrow('may not be')
  const fifo = { fifoPath: `/run/${text}` }
  if (text !== '-a') expect(() => renderConfig(small, features, fifo)).toThrow('may not be')
})

test('renderConfig() refuses numbers out of range', () => {
  const wrong: Partial<RouterSpec>[] = [
    { vrid: 0 },
    { vrid: 256 },
    { vrid: 1.5 },
    { vrid: Number.NaN },
    { priority: 0 },
    { priority: 255 },
    { vrrpVersion: 4 as 3 },
    { preempt: { kind: 'after', delayMs: 1_000_001 } },
  ]
  for (const spec of wrong) expect(() => renderConfig({ ...small, ...spec }, features, context)).toThrow('may not be')
})

test('renderConfig() bounds how addresses are announced, and pauses ARP and neighbour advertisements alike', () => {
  const announcements = { repeat: 10, delayS: 60, refreshS: 0, pauseMs: 1 }
  const text = renderConfig({ ...small, announcements }, features, context)
  expect(text.split('\n').filter((line) => /garp|gna/.test(line))).toEqual([
    '    vrrp_garp_interval 0.001',
    '    vrrp_gna_interval 0.001',
    '    garp_master_delay 60',
    '    garp_master_repeat 10',
    '    garp_master_refresh 0',
    '    garp_lower_prio_delay 60',
    '    garp_lower_prio_repeat 10',
  ])
  for (const wrong of [{ repeat: 11 }, { delayS: 0 }, { refreshS: 86_401 }, { pauseMs: 101 }])
    expect(() => renderConfig({ ...small, announcements: { ...announcements, ...wrong } }, features, context)).toThrow(
      'announcement',
    )
})
