import { expect, test } from 'vitest'
import { loadConfig } from './load.ts'

const router = `version: 1
routers:
  - id: r1
    vrid: 7
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.2] } }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }
      - { name: int0, attach: { bridge: br-int } }
    virtualAddresses:
      - { address: 'fe80::1/64', interface: int0 }
      - { address: 169.254.169.254/32, interface: int0 }
`
const advertise = (text: string) => `    routerAdvertisements:\n      - { ${text} }\n`
const where = 'agent.yaml:13'

test.each([
  [
    'what names an interface that the router has not',
    advertise('interface: ext0'),
    [
      `${where}:22 routers[0].routerAdvertisements[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, int0`,
      `${where}:22 routers[0].routerAdvertisements[0].interface: is "ext0", must have a link-local virtual address, such as fe80::1/64, that hosts keep as their router`,
    ],
  ],
  [
    'an interface without a link-local virtual address',
    advertise('interface: ha0'),
    [
      `${where}:22 routers[0].routerAdvertisements[0].interface: is "ha0", must have a link-local virtual address, such as fe80::1/64, that hosts keep as their router`,
    ],
  ],
  [
    'one interface twice',
    `${advertise('interface: int0')}      - { interface: int0 }\n`,
    [
      'agent.yaml:14:22 routers[0].routerAdvertisements[1].interface: is "int0", must differ from routers[0].routerAdvertisements[0].interface on line 13',
    ],
  ],
  [
    'a prefix that leaves no 64 bits',
    advertise("interface: int0, prefixes: [{ prefix: '2001:db8::/56' }]"),
    [
      `${where}:49 routers[0].routerAdvertisements[0].prefixes[0].prefix: is 2001:db8::/56, must be a /64 unless autonomous is false`,
    ],
  ],
  [
    'a lifetime below the interval (RFC 4861, 6.2.1)',
    advertise('interface: int0, lifetime: 29s'),
    [`${where}:38 routers[0].routerAdvertisements[0].lifetime: is 29s, must be 0s or at least the interval, 30s`],
  ],
  [
    'an MTU that IPv6 does not have',
    advertise('interface: int0, mtu: 1279'),
    [`${where}:33 routers[0].routerAdvertisements[0].mtu: is 1279, must be a whole number from 1280 to 65535`],
  ],
  [
    'more DNS servers than radvd takes',
    advertise(`interface: int0, dnsServers: [${[1, 2, 3, 4].map((at) => `'2001:db8::${String(at)}'`).join(', ')}]`),
    [`${where}:40 routers[0].routerAdvertisements[0].dnsServers: is a list, must be a list of at most 3 IP addresses`],
  ],
  [
    'more domains than a packet holds',
    advertise(
      `interface: int0, dnsSearch: [${Array(6)
        .fill(`${'a'.repeat(62)}.`.repeat(3) + 'b'.repeat(12))
        .join(', ')}, a]`,
    ),
    [
      `${where}:39 routers[0].routerAdvertisements[0].dnsSearch: is 1221 bytes long, must be at most 1216, which is what one packet holds`,
    ],
  ],
  [
    'an IPv4 prefix',
    advertise('interface: int0, prefixes: [{ prefix: 10.0.0.0/24 }]'),
    [
      `${where}:49 routers[0].routerAdvertisements[0].prefixes[0].prefix: is "10.0.0.0/24", must be an IPv6 network with its prefix length, such as 2001:db8:1::/64`,
    ],
  ],
  [
    'a preferred lifetime beyond the valid one',
    advertise("interface: int0, prefixes: [{ prefix: '2001:db8::/64', validLifetime: 10s }]"),
    [
      'agent.yaml:13:39 routers[0].routerAdvertisements[0].prefixes[0].preferredLifetime: is 14400s, must be at most the valid lifetime, 10s',
    ],
  ],
  [
    'an IPv4 DNS server',
    advertise('interface: int0, dnsServers: [192.0.2.53]'),
    [`${where}:41 routers[0].routerAdvertisements[0].dnsServers[0]: is 192.0.2.53, must be an IPv6 address`],
  ],
  [
    'a DNS name with a brace',
    advertise('interface: int0, dnsSearch: ["a}"]'),
    [
      `${where}:40 routers[0].routerAdvertisements[0].dnsSearch[0]: is "a}", must be a domain name, such as example.net`,
    ],
  ],
  [
    'an address that is no virtual one',
    '    metadata: { socket: /run/m, addresses: [10.0.0.1] }\n',
    [
      'agent.yaml:12:45 routers[0].metadata.addresses[0]: is 10.0.0.1, must be a virtual address of the router, such as 10.0.0.1/32',
    ],
  ],
  [
    'no socket',
    '    metadata: { on: always }\n',
    ['agent.yaml:12:15 routers[0].metadata.socket: is missing, must be an absolute path'],
  ],
  [
    'flows with no port',
    '    connectionTracking: { port: 0 }\n',
    ['agent.yaml:12:33 routers[0].connectionTracking.port: is 0, must be a whole number from 1 to 65535'],
  ],
  [
    'translation to what is no virtual address, of another family, or of the router itself',
    `    nat:
      source: [{ from: [10.0.0.0/24, "2001:db8::/64"], to: 10.9.9.9 }]
      floating: [{ outside: 10.9.9.8, inside: 169.254.169.254 }, { outside: 10.9.9.8, inside: "2001:db8::5" }]
      masquerade: [{ from: [10.0.0.0/24], interface: ext9 }]
`,
    [
      'agent.yaml:13:38 routers[0].nat.source[0].from[1]: is 2001:db8::/64, must be IPv4 as 10.9.9.9, which it is translated to',
      'agent.yaml:13:60 routers[0].nat.source[0].to: is 10.9.9.9, must be a virtual address of the router, such as 10.9.9.9/24',
      'agent.yaml:14:29 routers[0].nat.floating[0].outside: is 10.9.9.8, must be a virtual address of the router',
      "agent.yaml:14:47 routers[0].nat.floating[0].inside: is 169.254.169.254, the router's own address (routers[0].virtualAddresses[1].address on line 11), must be another's",
      'agent.yaml:14:77 routers[0].nat.floating[1].outside: is 10.9.9.8, must be a virtual address of the router',
      'agent.yaml:14:77 routers[0].nat.floating[1].outside: is 10.9.9.8, must differ from routers[0].nat.floating[0].outside on line 14',
      'agent.yaml:14:95 routers[0].nat.floating[1].inside: is 2001:db8::5, must be IPv4 as 10.9.9.8',
      'agent.yaml:15:54 routers[0].nat.masquerade[0].interface: is "ext9", which the router does not declare',
    ],
  ],
  [
    'translation of a host with a prefix length',
    '    nat: { source: [{ from: [10.0.0.1/24], to: 169.254.169.254 }] }\n',
    [
      'agent.yaml:12:30 routers[0].nat.source[0].from[0]: is "10.0.0.1/24", must be a network with its prefix length, such as 10.0.0.0/24 or 2001:db8::/32; this one has bits set',
    ],
  ],
  [
    'a hook that would be root',
    '    hooks: [{ program: /opt/h, user: root }]\n',
    ['agent.yaml:12:38 routers[0].hooks[0].user: is "root", must be a user without privileges'],
  ],
  [
    'a hook that would be root by its number',
    '    hooks: [{ program: /opt/h, user: 0 }]\n',
    ['agent.yaml:12:38 routers[0].hooks[0].user: is 0, must be'],
  ],
  [
    'a hook that would be the agent’s user',
    '    hooks: [{ program: /opt/h, user: keepward }]\n',
    [
      'agent.yaml:12:38 routers[0].hooks[0].user: is "keepward", must not be the agent’s user, who may ask keepward-host',
    ],
  ],
  [
    'a hook that is no absolute path',
    '    hooks: [{ program: h, user: u }]\n',
    ['agent.yaml:12:24 routers[0].hooks[0].program: is "h", must be an absolute path'],
  ],
  [
    'an argument that a shell would read',
    '    hooks: [{ program: /h, user: u, args: ["$x"] }]\n',
    ['agent.yaml:12:44 routers[0].hooks[0].args[0]: is "$x", must be'],
  ],
  [
    'a hook on an unknown role',
    '    hooks: [{ program: /h, user: u, on: [unknown] }]\n',
    ['agent.yaml:12:42 routers[0].hooks[0].on[0]: is "unknown", must be primary, backup or fault'],
  ],
  [
    'a hook without a deadline',
    '    hooks: [{ program: /h, user: u, timeout: 0s }]\n',
    ['agent.yaml:12:46 routers[0].hooks[0].timeout: is "0s", must be a duration from 100ms to 60s'],
  ],
  [
    'flaps that never are',
    '    flaps: { changes: 1 }\n',
    ['agent.yaml:12:23 routers[0].flaps.changes: is 1, must be a whole number from 2 to 500'],
  ],
  ['a socket with a blank', '    metadata: { socket: "/run/a b" }\n', ['agent.yaml:12:25']],
] as const)('loadConfig() refuses %s', (_, text, says) => {
  let found: string[] = []
  try {
    loadConfig(router + text, 'agent.yaml', 'host-a')
  } catch (error) {
    found = error instanceof Error ? error.message.split('\n') : []
  }
  expect(found).toHaveLength(says.length)
  for (const [index, start] of says.entries()) expect(found[index]).toContain(start)
})

test('loadConfig() refuses an MTU in advertisements beyond that of the interface', () => {
  const text = (mtu: number) =>
    `${router.replace('{ name: int0,', '{ name: int0, mtu: 1400,')}${advertise(`interface: int0, mtu: ${String(mtu)}`)}`
  expect(() => loadConfig(text(1401), 'agent.yaml', 'a')).toThrow(
    `${where}:33 routers[0].routerAdvertisements[0].mtu: is 1401, must be at most the MTU of int0, 1400`,
  )
  expect(loadConfig(text(1400), 'agent.yaml', 'a').routers[0]?.routerAdvertisements).toMatchObject([{ mtu: 1400 }])
})

test('loadConfig() takes a router with all services', () => {
  const text = `${router}${advertise("interface: int0, prefixes: [{ prefix: '2001:db8::/64' }]")}    metadata: { socket: /run/m }\n`
  expect(loadConfig(text, 'agent.yaml', 'host-a').routers[0]).toMatchObject({
    routerAdvertisements: [{ interface: 'int0', source: 'fe80::1' }],
    metadata: { on: 'primary', listen: [{ address: '169.254.169.254', interface: 'int0' }] },
  })
})

const flows = '    connectionTracking: {}\n'

test.each([
  [
    'that anybody on the link may tell',
    (text: string) => text.replace(/unicast: \{.*?\}/, 'multicast: true'),
    'routers[0].connectionTracking: must come with ha.unicast or ha.multicast.peers: nobody else may tell of flows',
  ],
  [
    'with two peers',
    (text: string) => text.replace('[169.254.192.2]', '[169.254.192.2, 169.254.192.3]'),
    'routers[0].connectionTracking: must come with exactly one peer, not 2 (routers[0].ha.unicast.peers on line 5): conntrackd tells flows to one other host',
  ],
  [
    'from an address that nobody knows',
    (text: string) =>
      text
        .replace(/unicast: \{.*?\}/, 'multicast: { peers: [169.254.192.2] }')
        .replace('{ bridge: br-ha }, addresses: [169.254.192.1/18]', 'existing'),
    'routers[0].connectionTracking: must come with an address of the HA interface that the peer 169.254.192.2 can be reached from',
  ],
  [
    'with a socket that no path could name',
    (text: string) =>
      text.replace('routers:', `paths: { run: /${'r'.repeat(60)} }\nrouters:`).replace('r1', 'r'.repeat(30)),
    `paths.run: is "/${'r'.repeat(60)}", must be at least 4 characters shorter: a socket of each router with connectionTracking is in it`,
  ],
] as const)('loadConfig() refuses flows %s', (_, change, says) => {
  expect(() => loadConfig(change(router + flows), 'agent.yaml', 'host-a')).toThrow(says)
})

test.each([
  ['unicast', (text: string) => text, '169.254.192.1'],
  [
    'multicast',
    (text: string) =>
      text
        .replace(/unicast: \{.*?\}/, 'multicast: { peers: [169.254.192.2] }')
        .replace('[169.254.192.1/18]', '["fd00::1/64", 169.254.192.7/18]'),
    '169.254.192.7',
  ],
] as const)('loadConfig() knows both ends of flows of %s routers', (_, change, source) => {
  const { routers } = loadConfig(change(router + flows), 'agent.yaml', 'host-a')
  expect(routers[0]?.connectionTracking).toEqual({ source, peer: '169.254.192.2', port: 3780 })
})
