import { expect, test } from 'vitest'
import { routerSpec } from '../../test/support/router.ts'
import type { RouterAdvertisement } from '../router/spec.ts'
import { radvd } from './radvd.ts'

const advertisement: RouterAdvertisement = {
  interface: 'int0',
  source: 'fe80::1',
  prefixes: [
    {
      prefix: { family: 6, address: '2001:db8:1::', prefixLength: 64 },
      autonomous: true,
      onLink: false,
      validS: 86_400,
      preferredS: 14_400,
    },
  ],
  mtu: 1400,
  lifetimeS: 1800,
  intervalS: 30,
  managed: false,
  otherConfig: true,
  dnsServers: ['2001:db8:1::53', '2001:db8:1::54'],
  dnsSearch: ['example.net'],
}

const plan = (stance: 'primary' | 'backup', routerAdvertisements: readonly RouterAdvertisement[]) =>
  radvd.plan(routerSpec({ routerAdvertisements }), stance, (name) => `/run/r1/${name}`)

test('radvd runs on the primary alone, and where there is something to say', () => {
  expect(plan('backup', [advertisement])).toBeUndefined()
  expect(plan('primary', [])).toBeUndefined()
  expect(plan('primary', [advertisement])?.argv.join(' ')).toBe(
    'radvd --nodaemon --username radvd --logmethod stderr_syslog --config /run/r1/radvd.conf --pidfile /run/r1/radvd.pid',
  )
})

test('radvd.conf says all that is declared', () => {
  expect(plan('primary', [advertisement])?.files.get('radvd.conf')).toBe(`interface int0 {
  AdvSendAdvert on;
  IgnoreIfMissing on;
  MaxRtrAdvInterval 30;
  MinRtrAdvInterval 10;
  AdvDefaultLifetime 1800;
  AdvManagedFlag off;
  AdvOtherConfigFlag on;
  AdvLinkMTU 1400;
  AdvRASrcAddress { fe80::1; };
  prefix 2001:db8:1::/64 { AdvOnLink off; AdvAutonomous on; AdvValidLifetime 86400; AdvPreferredLifetime 14400; };
  RDNSS 2001:db8:1::53 2001:db8:1::54 { AdvRDNSSLifetime 1800; };
  DNSSL example.net { AdvDNSSLLifetime 1800; };
};
`)
})

test('DNS outlives the router, and three intervals (RFC 8106, 5.1)', () => {
  const text = (change: Partial<RouterAdvertisement>) =>
    plan('primary', [{ ...advertisement, ...change }])?.files.get('radvd.conf')
  expect(text({ lifetimeS: 0, intervalS: 30 })).toContain(
    '{ AdvRDNSSLifetime 90; };\n  DNSSL example.net { AdvDNSSLLifetime 90; };',
  )
  expect(text({ lifetimeS: 700, intervalS: 600 })).toContain(
    '{ AdvRDNSSLifetime 1800; };\n  DNSSL example.net { AdvDNSSLLifetime 1800; };',
  )
})

test.each<Partial<RouterAdvertisement>>([
  { interface: 'int0 { }; x' },
  { source: 'fe80::1; }' },
  { dnsServers: ['2001:db8::53 { }; #'] },
  { dnsSearch: ['example.net { };'] },
  { intervalS: NaN },
])('nothing of a config reaches radvd.conf unchecked: %j', (wrong) => {
  expect(() => plan('primary', [{ ...advertisement, ...wrong }])).toThrow(
    /^Cannot render the config: the .+ holds what may not be in it$/,
  )
})
