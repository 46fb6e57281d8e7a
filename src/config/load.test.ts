import { expect, test } from 'vitest'
import { routerSpec } from '../../test/support/router.ts'
import { ConfigError } from './problem.ts'
import { configHash, loadConfig } from './load.ts'

const minimal = `version: 1
routers:
  - id: r1
    vrid: 7
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.2] } }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }
`

test('loadConfig() gives every default when the file has as little as it can', () => {
  expect(loadConfig(minimal, 'agent.yaml', 'host-a')).toEqual({
    agent: { id: 'host-a', user: 'keepward' },
    paths: {
      state: '/var/lib/keepward',
      run: '/run/keepward',
      host: '/run/keepward-host',
      anchors: '/var/lib/keepward-anchors',
    },
    control: { group: 'keepward', metricsPort: undefined },
    journal: { retainDays: 30, maxSizeMb: 256 },
    audit: { syslogPort: 514 },
    config: { requireSignature: false, applyChanges: false },
    reconcile: { intervalMs: 3000 },
    sinks: [],
    stateChange: {
      unknownRouters: 'compatible',
      claimInterval: 60_000,
      senders: [],
      trusted: { connections: 4096, perSecond: 50_000 },
      others: { connections: 64, perSecond: 200 },
      perRouter: { perSecond: 50, burst: 200 },
    },
    logging: { level: 'info', routerIds: 'plain' },
    routers: [
      routerSpec({
        namespace: 'keepward-r1',
        vrrpVersion: 3,
        advertisementIntervalMs: 1000,
        priority: 100,
        preempt: { kind: 'never' },
        interfaces: [
          {
            name: 'ha0',
            attach: { kind: 'bridge', bridge: 'br-ha' },
            addresses: [{ family: 4, address: '169.254.192.1', prefixLength: 18 }],
            mtu: undefined,
            macAddress: undefined,
            acceptRouterAdvertisements: false,
          },
        ],
        marker: { family: 4, address: '169.254.0.7', prefixLength: 24 },
        virtualAddresses: [],
        announcements: { repeat: 3, delayS: 5, refreshS: 60, pauseMs: 0 },
        virtualRoutes: [],
        authentication: { kind: 'none' },
        trackedInterfaces: ['ha0'],
      }),
    ],
  })
})

test('loadConfig() takes each key that is written', () => {
  const text = `version: 1
agent: { id: host-b, user: 1007 }
paths: { state: /srv/kw/state, run: /srv/kw/run, host: /srv/kw/host, anchors: /srv/kw/signed }
control: { group: ops, metricsPort: 9841 }
journal: { retainDays: 7, maxSizeMb: 64 }
audit: { syslogSocket: /dev/log, syslogServer: '2001:DB8::5', syslogPort: 1514 }
config: { requireSignature: true, applyChanges: true }
reconcile: { intervalMs: 1000 }
stateChange:
  unknownRouters: strict
  claimInterval: 5s
  socketGroup: neutron
  senders:
    - { user: neutron, routers: [e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d], states: [primary, backup] }
    - { key: { id: fleet, file: /etc/keepward/fleet.key } }
  trusted: { connections: 9, perSecond: 8 }
  others: { connections: 7, perSecond: 6 }
  perRouter: { perSecond: 5, burst: 4 }
logging: { level: debug, routerIds: pseudonym }
routers:
  - id: e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d
    vrid: 255
    namespace: qrouter-e2b5c5a4
    vrrpVersion: 2
    advertisementInterval: 2s
    priority: 50
    preempt: { delay: 0.5s }
    authentication: { passFile: /etc/keepward/secrets/r1 }
    marker: 169.254.3.254/22
    track: [ha-1, ext0]
    ha: { interface: ha-1, multicast: true }
    interfaces:
      - { name: ha-1, attach: { vxlan: { vni: 5, parent: eth0, remote: 239.1.1.1 } }, addresses: [10.9.0.1/24] }
      - { name: ext0, attach: existing }
      - { name: int0, attach: { macvlan: eth1.100 }, mtu: 9000, macAddress: '02:00:00:00:00:0A', acceptRouterAdvertisements: true }
    virtualAddresses:
      - { address: '2001:DB8:0:0::10/64', interface: int0 }
      - { address: 'fe80::1/64', interface: int0 }
    metadata:
      on: always
      addresses: ['2001:db8::10']
      port: 8775
      socket: /run/metadata
      user: nobody
      group: nogroup
      networkId: n1
    nat:
      floating: [{ outside: '2001:db8::10', inside: '2001:DB8:9::5' }]
      source: [{ from: ['2001:db8:9::/64'], to: '2001:db8::10' }]
      masquerade: [{ from: [0.0.0.0/0], interface: ext0 }]
    packetFilter: { file: /etc/keepward/r1.nft }
    hooks:
      - { program: /opt/h, args: [-x, 'a=b'], user: 7, on: [fault], timeout: 500ms, namespace: router }
    flaps: { changes: 20, window: 5s }
    routerAdvertisements:
      - interface: int0
        prefixes:
          - { prefix: '2001:DB8::/64', autonomous: false, onLink: false, validLifetime: 100s, preferredLifetime: 50s }
        mtu: 1400
        lifetime: 0s
        interval: 4s
        managed: true
        otherConfig: true
        dnsServers: ['2001:db8::53']
        dnsSearch: [example.net]
    announcements: { repeat: 2, delay: 1.5s, refresh: 0s, pause: 2ms }
    virtualRoutes:
      - { to: default, via: 'fe80::2', interface: int0, metric: 5 }
      - { to: 198.51.100.0/24, interface: ext0 }
sinks:
  - name: fleet
    delivery: history
    repeatInterval: 60s
    nats:
      servers: ['nats://[2001:db8::1]:4222']
      nkey: { file: /etc/nk }
      caFile: /etc/ca.pem
      clientCertificate: { file: /etc/c.pem, key: { credential: c } }
      plaintext: true
`
  expect(loadConfig(text, 'agent.yaml', 'host-a')).toEqual({
    agent: { id: 'host-b', user: 1007 },
    paths: { state: '/srv/kw/state', run: '/srv/kw/run', host: '/srv/kw/host', anchors: '/srv/kw/signed' },
    control: { group: 'ops', metricsPort: 9841 },
    journal: { retainDays: 7, maxSizeMb: 64 },
    audit: { syslogSocket: '/dev/log', syslogServer: '2001:db8::5', syslogPort: 1514 },
    config: { requireSignature: true, applyChanges: true },
    reconcile: { intervalMs: 1000 },
    sinks: [
      {
        type: 'nats',
        name: 'fleet',
        delivery: 'history',
        repeatMs: 60_000,
        servers: ['nats://[2001:db8::1]:4222'],
        nkey: { kind: 'file', path: '/etc/nk' },
        caFile: '/etc/ca.pem',
        clientCertificate: { file: '/etc/c.pem', key: { kind: 'credential', name: 'c' } },
        plaintext: true,
      },
    ],
    stateChange: {
      unknownRouters: 'strict',
      claimInterval: 5000,
      socketGroup: 'neutron',
      senders: [
        { user: 'neutron', routers: ['e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d'], states: ['primary', 'backup'] },
        { key: { id: 'fleet', source: { kind: 'file', path: '/etc/keepward/fleet.key' } } },
      ],
      trusted: { connections: 9, perSecond: 8 },
      others: { connections: 7, perSecond: 6 },
      perRouter: { perSecond: 5, burst: 4 },
    },
    logging: { level: 'debug', routerIds: 'pseudonym' },
    routers: [
      {
        id: 'e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d',
        namespace: 'qrouter-e2b5c5a4',
        vrid: 255,
        vrrpVersion: 2,
        advertisementIntervalMs: 2000,
        priority: 50,
        preempt: { kind: 'after', delayMs: 500 },
        haInterface: 'ha-1',
        interfaces: [
          {
            name: 'ha-1',
            attach: { kind: 'vxlan', vni: 5, parent: 'eth0', remote: '239.1.1.1', port: 4789 },
            addresses: [{ family: 4, address: '10.9.0.1', prefixLength: 24 }],
            mtu: undefined,
            macAddress: undefined,
            acceptRouterAdvertisements: false,
          },
          {
            name: 'ext0',
            attach: { kind: 'existing' },
            addresses: [],
            mtu: undefined,
            macAddress: undefined,
            acceptRouterAdvertisements: false,
          },
          {
            name: 'int0',
            attach: { kind: 'macvlan', parent: 'eth1.100' },
            addresses: [],
            mtu: 9000,
            macAddress: '02:00:00:00:00:0a',
            acceptRouterAdvertisements: true,
          },
        ],
        marker: { family: 4, address: '169.254.3.254', prefixLength: 22 },
        virtualAddresses: [
          { family: 6, address: '2001:db8::10', prefixLength: 64, interface: 'int0' },
          { family: 6, address: 'fe80::1', prefixLength: 64, interface: 'int0' },
        ],
        metadata: {
          on: 'always',
          listen: [{ address: '2001:db8::10', interface: 'int0' }],
          port: 8775,
          socket: '/run/metadata',
          user: 'nobody',
          group: 'nogroup',
          networkId: 'n1',
        },
        nat: {
          floating: [{ outside: '2001:db8::10', inside: '2001:db8:9::5', interface: 'int0' }],
          sources: [
            {
              from: [{ family: 6, address: '2001:db8:9::', prefixLength: 64 }],
              interface: 'int0',
              to: '2001:db8::10',
            },
            { from: [{ family: 4, address: '0.0.0.0', prefixLength: 0 }], interface: 'ext0', to: undefined },
          ],
        },
        packetFilter: { file: '/etc/keepward/r1.nft' },
        hooks: [
          { program: '/opt/h', args: ['-x', 'a=b'], user: 7, on: ['fault'], timeoutMs: 500, namespace: 'router' },
        ],
        flaps: { changes: 20, windowMs: 5000 },
        routerAdvertisements: [
          {
            interface: 'int0',
            source: 'fe80::1',
            prefixes: [
              {
                prefix: { family: 6, address: '2001:db8::', prefixLength: 64 },
                autonomous: false,
                onLink: false,
                validS: 100,
                preferredS: 50,
              },
            ],
            mtu: 1400,
            lifetimeS: 0,
            intervalS: 4,
            managed: true,
            otherConfig: true,
            dnsServers: ['2001:db8::53'],
            dnsSearch: ['example.net'],
          },
        ],
        announcements: { repeat: 2, delayS: 2, refreshS: 0, pauseMs: 2 },
        virtualRoutes: [
          {
            destination: { family: 6, address: '::', prefixLength: 0 },
            via: 'fe80::2',
            interface: 'int0',
            metric: 5,
          },
          {
            destination: { family: 4, address: '198.51.100.0', prefixLength: 24 },
            via: undefined,
            interface: 'ext0',
            metric: undefined,
          },
        ],
        advertise: { kind: 'multicast', peers: undefined },
        authentication: { kind: 'pass', password: { kind: 'file', path: '/etc/keepward/secrets/r1' } },
        trackedInterfaces: ['ha-1', 'ext0'],
      },
    ],
  })
})

test('loadConfig() gives a router with IPv6 only a link-local marker', () => {
  const text = minimal.replaceAll('169.254.192.', 'fd00::').replace('/18', '/64').replace('vrid: 7', 'vrid: 200')
  const marker = loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.marker
  expect(marker).toEqual({ family: 6, address: 'fe80::5652:c8', prefixLength: 64 })
})

test('loadConfig() gives vrid 255 its default marker although 255 ends the subnet', () => {
  const text = minimal.replace('vrid: 7', 'vrid: 255')
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.marker.address).toBe('169.254.0.255')
})

test('loadConfig() lets a marker that is written down decide the family of multicast', () => {
  const text = `${minimal.replace(/unicast: .*/, 'multicast: true }\n    marker: 169.254.1.7/24')}    vrrpVersion: 2
    virtualAddresses: [{ address: 2001:db8::1/64, interface: ha0 }]
`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.vrrpVersion).toBe(2)
})

test('loadConfig() gives a dual-stack router with IPv4 peers an IPv4 marker', () => {
  const text = `${minimal}    virtualAddresses: [{ address: 2001:db8::1/64, interface: ha0 }]\n`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.marker.address).toBe('169.254.0.7')
})

test('loadConfig() takes an empty list of routers when it is written down', () => {
  expect(loadConfig('version: 1\nrouters: []\n', 'agent.yaml', 'host-a').routers).toEqual([])
})

test('loadConfig() takes the same private address in two routers when both say that addresses are not unique', () => {
  const second = `  - id: r2
    vrid: 8
    uniqueAddresses: false
    ha: { interface: ha0, unicast: { source: 169.254.192.11, peers: [169.254.192.12] } }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.11/18] }
      - { name: int0, attach: { bridge: br-b } }
    virtualAddresses: [{ address: 192.168.1.1/24, interface: int0 }]
`
  const first = second
    .replace('r2', 'r1')
    .replace('vrid: 8', 'vrid: 7')
    .replaceAll('192.11', '192.1')
    .replace('br-b', 'br-a')
  const text = `version: 1\nrouters:\n${first}${second}`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers).toHaveLength(2)
  expect(problemsOf(text.replace('br-b', 'br-a'))).toMatchObject([
    { line: 18, path: 'routers[1].virtualAddresses[0].address' },
  ])
})

test('loadConfig() takes the same IPv6 link-local address on two interfaces (RFC 4291, 2.5.6)', () => {
  const text = `${minimal}      - { name: int0, attach: { macvlan: eth1 } }
      - { name: int1, attach: { macvlan: eth2 } }
    virtualAddresses:
      - { address: fe80::1/64, interface: int0 }
      - { address: fe80::1/64, interface: int1 }
`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.virtualAddresses).toHaveLength(2)
})

test('loadConfig() takes a next hop that another virtual route puts on the link', () => {
  const text = `${minimal}      - { name: ext0, attach: { macvlan: eth1 } }
    virtualAddresses: [{ address: 203.0.113.10/32, interface: ext0 }]
    virtualRoutes:
      - { to: 203.0.113.1/32, interface: ext0 }
      - { to: default, via: 203.0.113.1, interface: ext0 }
`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.virtualRoutes).toHaveLength(2)
})

test('loadConfig() reports problems of text, schema and cross-checks at once, in the order of the file', () => {
  const text = `version: 1
rooters: []
routers:
  - id: r1
    vrid: 300
    vrid: 7
    namespace: kw
    ha: { interface: ha0, unicast: { source: 169.254.192.9, peers: [] } }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }
  - id: r1
    vrid: 7
    namespace: kw
    priority: high
    ha: { interface: ha1, unicast: { source: 169.254.192.3, peers: [169.254.192.4] } }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }
`
  expect(problemsOf(text)).toEqual([
    { line: 2, column: 1, path: '', message: 'unknown key `rooters`; did you mean `routers`?' },
    { line: 5, column: 11, path: 'routers[0].vrid', message: 'is 300, must be a whole number from 1 to 255' },
    { line: 6, column: 5, path: 'routers[0].vrid', message: 'stands here again, must stand once (first on line 5)' },
    {
      line: 8,
      column: 68,
      path: 'routers[0].ha.unicast.peers',
      message: 'is an empty list, must be a list of at least one IP address',
    },
    { line: 11, column: 9, path: 'routers[1].id', message: 'is "r1", must differ from routers[0].id on line 4' },
    { line: 14, column: 15, path: 'routers[1].priority', message: 'is "high", must be a whole number from 1 to 254' },
    {
      line: 15,
      column: 22,
      path: 'routers[1].ha.interface',
      message: 'is "ha1", which the router does not declare, must be one of its interfaces: ha0',
    },
    {
      line: 17,
      column: 61,
      path: 'routers[1].interfaces[0].addresses[0]',
      message:
        'is 169.254.192.1, must differ from routers[0].interfaces[0].addresses[0] on line 10: both are on bridge br-ha',
    },
  ])
})

test('loadConfig() refuses a host name that can be no host identity when the file names none', () => {
  expect(problemsOf(minimal, 'host a')).toEqual([
    {
      line: 1,
      column: 1,
      path: 'agent.id',
      message:
        'is missing, and the host name is "host a", must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit',
    },
  ])
})

test('loadConfig() refuses a text of more than 1 MiB without parsing it', () => {
  expect(problemsOf(`${minimal}# ${'x'.repeat(1_048_576)}`)).toEqual([
    { line: 1, column: 1, path: '', message: 'is 1048804 bytes long, must be at most 1048576' },
  ])
})

test.each([
  ['brackets', '['.repeat(100_000)],
  ['dashes', '- '.repeat(100_000)],
  ['keys', Array.from({ length: 30_000 }, (_, index) => `k${index}: 1`).join('\n')],
  ['quotes', '"'.repeat(100_000)],
])('loadConfig() ends in a ConfigError within 5 s of processor time when the text is nothing but %s', (_, text) => {
  const before = process.cpuUsage()
  expect(() => loadConfig(text, 'agent.yaml', 'host-a')).toThrow(ConfigError)
  const { user, system } = process.cpuUsage(before)
  expect(user + system).toBeLessThan(5e6)
})

test('loadConfig() reads words of YAML 1.1 as plain text', () => {
  const text = minimal.replace('id: r1', 'id: yes')
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]?.id).toBe('yes')
})

test('configHash() gives SHA-256 in hexadecimal', () => {
  expect(configHash(Buffer.from('version: 1\n'))).toBe(
    '09bfcc6a14b83e2192b8673677725c84883ee9cd0c70e45c9ec09daa8f2b2847',
  )
})

function problemsOf(text: string, hostname = 'host-a'): unknown {
  try {
    loadConfig(text, 'agent.yaml', hostname)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

test('loadConfig() takes hmac with two keys, for VRRPv2 and VRRPv3', () => {
  const hmac = '{ keys: [{ id: 2, file: /etc/keepward/k2 }, { id: 1, file: /etc/keepward/k1 }], activeKey: 1 }'
  for (const version of [2, 3]) {
    const interval = version === 2 ? '1s' : '100ms'
    const text = `${minimal}    vrrpVersion: ${String(version)}\n    advertisementInterval: ${interval}\n    authentication: { hmac: ${hmac} }\n`
    expect(loadConfig(text, 'agent.yaml', 'h1').routers[0]?.authentication).toEqual({
      kind: 'hmac',
      keys: [
        { id: 2, file: '/etc/keepward/k2' },
        { id: 1, file: '/etc/keepward/k1' },
      ],
      activeKey: 1,
      mode: 'enforce',
    })
  }
})
