/** The routers of the example: one with most of what there is, one with as little as a router can have. */
export const exampleRouters = [
  {
    id: 'r1',
    vrid: 7,
    ha: { interface: 'ha0', unicast: { source: '169.254.192.1', peers: ['169.254.192.2', '169.254.192.3'] } },
    interfaces: [
      { name: 'ha0', attach: { bridge: 'br-ha' }, addresses: ['169.254.192.1/18'] },
      { name: 'ext0', attach: { macvlan: 'eth1' } },
      { name: 'int0', attach: { vxlan: { vni: 100, parent: 'eth0', remote: '239.1.1.1' } } },
    ],
    virtualAddresses: [
      { address: '203.0.113.10/24', interface: 'ext0' },
      { address: '2001:db8:1::10/64', interface: 'ext0' },
      { address: '10.0.0.1/24', interface: 'int0' },
      { address: 'fe80::1/64', interface: 'int0' },
      { address: '169.254.169.254/32', interface: 'int0' },
    ],
    virtualRoutes: [
      { to: 'default', via: '203.0.113.1', interface: 'ext0' },
      { to: 'default', via: '2001:db8:1::1', interface: 'ext0' },
    ],
    routerAdvertisements: [{ interface: 'int0', prefixes: [{ prefix: '2001:db8:a::/64' }] }],
    metadata: { socket: '/var/lib/neutron/metadata_proxy' },
    hooks: [{ program: '/usr/local/sbin/role-changed', user: 'role-changed' }],
  },
  {
    id: 'e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d',
    vrid: 8,
    advertisementInterval: '100ms',
    ha: { interface: 'ha0', unicast: { source: 'fd00:7::1', peers: ['fd00:7::2'] } },
    interfaces: [
      { name: 'ha0', attach: { bridge: 'br-ha' }, addresses: ['fd00:7::1/64'] },
      { name: 'ext0', attach: 'existing' },
    ],
    virtualAddresses: [{ address: '2001:db8:2::10/64', interface: 'ext0' }],
  },
]
