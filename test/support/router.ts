import type { Instant } from '../../src/base/instant.ts'
import { parsePrefix, type Prefix } from '../../src/base/address.ts'
import type { Table } from '../../src/host/operation.ts'
import type { SettingsEvidence } from '../../src/router/evidence.ts'
import { parseRouterId, type RouterId, type RouterSpec } from '../../src/router/spec.ts'

export function id(text: string): RouterId {
  const parsed = parseRouterId(text)
  if (parsed === undefined) throw new Error(`not a router id: ${text}`)
  return parsed
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`)
  return parsed
}

/** A config of these routers, as the root half takes it. */
export const table = (routers: readonly RouterSpec[]): Table => ({ hash: '', routers })

/** A moment `ms` after the start of a test's own time. */
export const at = (ms: number): Instant => ({ wallMs: 1_700_000_000_000 + ms, monoMs: 1_000_000 + ms })

/** One HA router as the config would have it. */
export function routerSpec(change: Partial<RouterSpec> = {}): RouterSpec {
  return {
    id: id('r1'),
    namespace: 'keepward-r1',
    vrid: 7,
    vrrpVersion: 3,
    advertisementIntervalMs: 1000,
    priority: 100,
    preempt: { kind: 'never' },
    haInterface: 'ha0',
    interfaces: [
      {
        name: 'ha0',
        attach: { kind: 'bridge', bridge: 'br-ha' },
        addresses: [prefix('169.254.192.1/18')],
        mtu: undefined,
        macAddress: undefined,
        acceptRouterAdvertisements: false,
      },
      {
        name: 'ext0',
        attach: { kind: 'bridge', bridge: 'br-ext' },
        addresses: [],
        mtu: undefined,
        macAddress: undefined,
        acceptRouterAdvertisements: false,
      },
    ],
    marker: prefix('169.254.0.7/24'),
    virtualAddresses: [{ ...prefix('203.0.113.10/24'), interface: 'ext0' }],
    announcements: { repeat: 3, delayS: 5, refreshS: 60, pauseMs: 0 },
    virtualRoutes: [],
    advertise: { kind: 'unicast', source: '169.254.192.1', peers: ['169.254.192.2'], minTtl: undefined },
    routerAdvertisements: [],
    metadata: undefined,
    connectionTracking: undefined,
    nat: undefined,
    packetFilter: undefined,
    hooks: [],
    flaps: { changes: 10, windowMs: 60_000 },
    authentication: { kind: 'none' },
    trackedInterfaces: ['ha0'],
    ...change,
  }
}

/** Nothing to say against it, where a test looks at what is raised. */
export const signed: RouterSpec['authentication'] = {
  kind: 'hmac',
  keys: [{ id: 1, file: '/etc/keepward/secrets/r1-1' }],
  activeKey: 1,
  mode: 'enforce',
}

/** One that only says that there is a router. */
export const advertisement: RouterSpec['routerAdvertisements'][number] = {
  interface: 'ext0',
  source: 'fe80::1',
  prefixes: [],
  mtu: undefined,
  lifetimeS: 1800,
  intervalS: 30,
  managed: false,
  otherConfig: false,
  dnsServers: [],
  dnsSearch: [],
}

/** All is as it is wanted, but for what `change` says. */
export const settingsSeen = (
  ms: number,
  change: Partial<Extract<SettingsEvidence, { kind: 'seen' }>> = {},
): SettingsEvidence => ({
  kind: 'seen',
  namespaceReady: true,
  wantedDigest: 'c1',
  writtenDigest: 'c1',
  change: 'none',
  misattached: [],
  reactions: [],
  hooks: [],
  tables: {
    vrrp: { kind: 'ready', strangers: [] },
    nat: { kind: 'ready' },
    flows: { kind: 'ready' },
    operator: { kind: 'ready' },
  },
  asOf: at(ms),
  ...change,
})
