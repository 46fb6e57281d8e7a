import { describe, expect, test } from 'vitest'
import { loadConfig } from './load.ts'
import { settingSections } from './reference.ts'
import { weakeningRules, weakeningsOf } from './weakening.ts'

const router = (more = '', ha = 'unicast: { source: 169.254.192.1, peers: [169.254.192.2] }') => `
  - id: r1
    vrid: 1
    ha: { interface: ha0, ${ha} }
    interfaces: [{ name: ha0, attach: existing, addresses: [169.254.192.1/18] }]
    virtualAddresses: [{ address: 203.0.113.10/24, interface: ha0 }]
    ${more}`
const configOf = (sections: string, routers = router()) =>
  loadConfig(`version: 1\n${sections}\nrouters:${routers}\n`, 'agent.yaml', 'host-a')
const found = (sections: string, routers?: string) =>
  weakeningsOf(configOf(sections, routers)).map(({ setting, found: values }) => [setting, ...values])

test('safe defaults: what is left out is the safe value', () => {
  expect(found('')).toEqual([])
  const { control, journal, config, stateChange, routers } = configOf('')
  expect({ control, journal, config, stateChange, routers }).toMatchObject({
    control: { group: 'keepward', metricsPort: undefined },
    journal: { retainDays: 30, maxSizeMb: 256 },
    config: { requireSignature: false, applyChanges: false },
    stateChange: {
      senders: [],
      trusted: { connections: 4096, perSecond: 50_000 },
      others: { connections: 64, perSecond: 200 },
      perRouter: { perSecond: 50, burst: 200 },
    },
    routers: [{ advertise: { kind: 'unicast' }, authentication: { kind: 'none' } }],
  })
  expect(stateChange.socketGroup).toBe(undefined)
  expect(stateChange.openToAll).toBe(undefined)
})

test('safe defaults: each setting of the schema either weakens or is one of these', () => {
  const settings = settingSections()
    .flat()
    .map(({ path }) => path)
  const weakening = weakeningRules.map(({ setting }) => setting)
  expect(weakening.filter((one) => !settings.includes(one))).toEqual([])
  expect(settings.filter((one) => !weakening.includes(one))).toEqual([
    'version',
    'agent',
    'agent.id',
    'paths',
    'paths.run',
    'paths.host',
    'paths.anchors',
    'control',
    'journal',
    'audit',
    'audit.syslogSocket',
    'audit.syslogServer',
    'audit.syslogPort',
    'config',
    'config.requireSignature',
    'reconcile',
    'reconcile.intervalMs',
    'stateChange',
    'stateChange.unknownRouters',
    'stateChange.claimInterval',
    'stateChange.senders',
    'stateChange.senders[].user',
    'stateChange.senders[].uid',
    'stateChange.senders[].group',
    'stateChange.senders[].gid',
    'stateChange.senders[].key',
    'stateChange.senders[].key.id',
    'stateChange.senders[].key.file',
    'stateChange.senders[].key.credential',
    'stateChange.senders[].key.command',
    'stateChange.senders[].key.vault',
    'stateChange.senders[].key.vault.mount',
    'stateChange.senders[].key.vault.path',
    'stateChange.senders[].key.vault.field',
    'stateChange.senders[].states',
    'stateChange.trusted',
    'stateChange.others',
    'stateChange.perRouter',
    'sinks',
    'sinks[].name',
    'sinks[].delivery',
    'sinks[].repeatInterval',
    'sinks[].nats',
    'sinks[].nats.servers',
    'sinks[].nats.nkey',
    'sinks[].nats.nkey.file',
    'sinks[].nats.nkey.credential',
    'sinks[].nats.nkey.command',
    'sinks[].nats.nkey.vault',
    'sinks[].nats.nkey.vault.mount',
    'sinks[].nats.nkey.vault.path',
    'sinks[].nats.nkey.vault.field',
    'sinks[].nats.caFile',
    'sinks[].nats.clientCertificate',
    'sinks[].nats.clientCertificate.file',
    'sinks[].nats.clientCertificate.key',
    'sinks[].nats.clientCertificate.key.file',
    'sinks[].nats.clientCertificate.key.credential',
    'sinks[].nats.clientCertificate.key.command',
    'sinks[].nats.clientCertificate.key.vault',
    'sinks[].nats.clientCertificate.key.vault.mount',
    'sinks[].nats.clientCertificate.key.vault.path',
    'sinks[].nats.clientCertificate.key.vault.field',
    'sinks[].neutron',
    'sinks[].neutron.brokers',
    'sinks[].neutron.virtualHost',
    'sinks[].neutron.user',
    'sinks[].neutron.password',
    'sinks[].neutron.password.file',
    'sinks[].neutron.password.credential',
    'sinks[].neutron.password.command',
    'sinks[].neutron.password.vault',
    'sinks[].neutron.password.vault.mount',
    'sinks[].neutron.password.vault.path',
    'sinks[].neutron.password.vault.field',
    'sinks[].neutron.caFile',
    'sinks[].neutron.clientCertificate',
    'sinks[].neutron.clientCertificate.file',
    'sinks[].neutron.clientCertificate.key',
    'sinks[].neutron.clientCertificate.key.file',
    'sinks[].neutron.clientCertificate.key.credential',
    'sinks[].neutron.clientCertificate.key.command',
    'sinks[].neutron.clientCertificate.key.vault',
    'sinks[].neutron.clientCertificate.key.vault.mount',
    'sinks[].neutron.clientCertificate.key.vault.path',
    'sinks[].neutron.clientCertificate.key.vault.field',
    'sinks[].neutron.host',
    'sinks[].neutron.method',
    'sinks[].neutron.exchange',
    'sinks[].neutron.topic',
    'sinks[].neutron.replyQueue',
    'sinks[].neutron.primaryDelay',
    'sinks[].webhook',
    'sinks[].webhook.url',
    'sinks[].webhook.secret',
    'sinks[].webhook.secret.file',
    'sinks[].webhook.secret.credential',
    'sinks[].webhook.secret.command',
    'sinks[].webhook.secret.vault',
    'sinks[].webhook.secret.vault.mount',
    'sinks[].webhook.secret.vault.path',
    'sinks[].webhook.secret.vault.field',
    'sinks[].webhook.caFile',
    'sinks[].webhook.clientCertificate',
    'sinks[].webhook.clientCertificate.file',
    'sinks[].webhook.clientCertificate.key',
    'sinks[].webhook.clientCertificate.key.file',
    'sinks[].webhook.clientCertificate.key.credential',
    'sinks[].webhook.clientCertificate.key.command',
    'sinks[].webhook.clientCertificate.key.vault',
    'sinks[].webhook.clientCertificate.key.vault.mount',
    'sinks[].webhook.clientCertificate.key.vault.path',
    'sinks[].webhook.clientCertificate.key.vault.field',
    'sinks[].webhook.filter',
    'sinks[].webhook.filter.routers',
    'sinks[].webhook.filter.kinds',
    'sinks[].webhook.filter.roles',
    'vault',
    'vault.address',
    'vault.caFile',
    'vault.namespace',
    'vault.host',
    'vault.host.token',
    'vault.host.token.file',
    'vault.host.token.credential',
    'vault.host.token.command',
    'vault.host.appRole',
    'vault.host.appRole.mount',
    'vault.host.appRole.roleId',
    'vault.host.appRole.secretId',
    'vault.host.appRole.secretId.file',
    'vault.host.appRole.secretId.credential',
    'vault.host.appRole.secretId.command',
    'vault.agent',
    'vault.agent.token',
    'vault.agent.token.file',
    'vault.agent.token.credential',
    'vault.agent.token.command',
    'vault.agent.appRole',
    'vault.agent.appRole.mount',
    'vault.agent.appRole.roleId',
    'vault.agent.appRole.secretId',
    'vault.agent.appRole.secretId.file',
    'vault.agent.appRole.secretId.credential',
    'vault.agent.appRole.secretId.command',
    'logging',
    'logging.level',
    'logging.routerIds',
    'routers',
    'routers[].id',
    'routers[].vrid',
    'routers[].namespace',
    'routers[].ha',
    'routers[].ha.interface',
    'routers[].ha.unicast',
    'routers[].ha.unicast.source',
    'routers[].ha.unicast.peers',
    'routers[].ha.multicast.peers',
    'routers[].vrrpVersion',
    'routers[].advertisementInterval',
    'routers[].priority',
    'routers[].preempt',
    'routers[].preempt.delay',
    'routers[].authentication.hmac',
    'routers[].authentication.hmac.keys',
    'routers[].authentication.hmac.keys[].id',
    'routers[].authentication.hmac.keys[].file',
    'routers[].authentication.hmac.activeKey',
    'routers[].authentication.pass',
    'routers[].authentication.pass.file',
    'routers[].authentication.pass.credential',
    'routers[].authentication.pass.command',
    'routers[].authentication.pass.vault',
    'routers[].authentication.pass.vault.mount',
    'routers[].authentication.pass.vault.path',
    'routers[].authentication.pass.vault.field',
    'routers[].authentication.passFile',
    'routers[].marker',
    'routers[].track',
    'routers[].uniqueAddresses',
    'routers[].interfaces',
    'routers[].interfaces[].name',
    'routers[].interfaces[].attach',
    'routers[].interfaces[].attach.bridge',
    'routers[].interfaces[].attach.macvlan',
    'routers[].interfaces[].attach.vxlan',
    'routers[].interfaces[].attach.vxlan.vni',
    'routers[].interfaces[].attach.vxlan.parent',
    'routers[].interfaces[].attach.vxlan.remote',
    'routers[].interfaces[].attach.vxlan.port',
    'routers[].interfaces[].addresses',
    'routers[].interfaces[].mtu',
    'routers[].interfaces[].macAddress',
    'routers[].virtualAddresses',
    'routers[].virtualAddresses[].address',
    'routers[].virtualAddresses[].interface',
    'routers[].announcements',
    'routers[].announcements.repeat',
    'routers[].announcements.delay',
    'routers[].announcements.refresh',
    'routers[].announcements.pause',
    'routers[].virtualRoutes',
    'routers[].virtualRoutes[].to',
    'routers[].virtualRoutes[].via',
    'routers[].virtualRoutes[].interface',
    'routers[].virtualRoutes[].metric',
    'routers[].routerAdvertisements',
    'routers[].routerAdvertisements[].interface',
    'routers[].routerAdvertisements[].prefixes',
    'routers[].routerAdvertisements[].prefixes[].prefix',
    'routers[].routerAdvertisements[].prefixes[].autonomous',
    'routers[].routerAdvertisements[].prefixes[].onLink',
    'routers[].routerAdvertisements[].prefixes[].validLifetime',
    'routers[].routerAdvertisements[].prefixes[].preferredLifetime',
    'routers[].routerAdvertisements[].mtu',
    'routers[].routerAdvertisements[].lifetime',
    'routers[].routerAdvertisements[].interval',
    'routers[].routerAdvertisements[].managed',
    'routers[].routerAdvertisements[].otherConfig',
    'routers[].routerAdvertisements[].dnsServers',
    'routers[].routerAdvertisements[].dnsSearch',
    'routers[].metadata',
    'routers[].metadata.on',
    'routers[].metadata.addresses',
    'routers[].metadata.port',
    'routers[].metadata.socket',
    'routers[].metadata.networkId',
    'routers[].connectionTracking.port',
    'routers[].nat',
    'routers[].nat.floating',
    'routers[].nat.floating[].outside',
    'routers[].nat.floating[].inside',
    'routers[].nat.source',
    'routers[].nat.source[].from',
    'routers[].nat.source[].to',
    'routers[].nat.masquerade',
    'routers[].nat.masquerade[].from',
    'routers[].nat.masquerade[].interface',
    'routers[].packetFilter',
    'routers[].packetFilter.file',
    'routers[].hooks',
    'routers[].hooks[].program',
    'routers[].hooks[].args',
    'routers[].hooks[].user',
    'routers[].hooks[].on',
    'routers[].hooks[].timeout',
    'routers[].hooks[].namespace',
    'routers[].flaps',
    'routers[].flaps.changes',
    'routers[].flaps.window',
  ])
})

describe('weakeningsOf()', () => {
  const stateChange = (text: string) => `stateChange: { ${text} }`
  const inVault = (login: string) => `vault: { address: https://v, caFile: /ca, ${login} }`
  const sender = 'senders: [{ user: neutron }, { uid: 7, routers: [r1] }, { key: { id: fleet, file: /k } }]'
  test.each<readonly [text: string, found: readonly string[]]>([
    ['agent: { user: root }', ['agent.user', 'root']],
    ['agent: { user: 0 }', ['agent.user', '0']],
    ['paths: { state: /tmp/keepward }', ['paths.state', '/tmp/keepward']],
    ['control: { group: users }', ['control.group', 'users']],
    ['control: { metricsPort: 9841 }', ['control.metricsPort', '9841']],
    ['journal: { retainDays: 29 }', ['journal.retainDays', '29']],
    ['journal: { maxSizeMb: 255 }', ['journal.maxSizeMb', '255']],
    ['config: { applyChanges: true }', ['config.applyChanges', 'true']],
    [stateChange('trusted: { connections: 4097 }'), ['stateChange.trusted.connections', '4097']],
    [stateChange('trusted: { perSecond: 50001 }'), ['stateChange.trusted.perSecond', '50001']],
    [stateChange('others: { connections: 65 }'), ['stateChange.others.connections', '65']],
    [stateChange('others: { perSecond: 201 }'), ['stateChange.others.perSecond', '201']],
    [stateChange('perRouter: { perSecond: 51 }'), ['stateChange.perRouter.perSecond', '51']],
    [stateChange('perRouter: { burst: 201 }'), ['stateChange.perRouter.burst', '201']],
    ...['host', 'agent'].flatMap((who): [string, string[]][] => [
      [inVault(`${who}: { token: { environment: A } }`), [`vault.${who}.token.environment`, 'A']],
      [
        inVault(`${who}: { appRole: { roleId: r, secretId: { environment: B } } }`),
        [`vault.${who}.appRole.secretId.environment`, 'B'],
      ],
    ]),
  ])('of %s names %j', (sections, expected) => {
    expect(found(sections)).toEqual([expected])
  })

  test('names the routers whose metadata proxy is root', () => {
    const proxy = (text: string) => router(`metadata: { addresses: [203.0.113.10], socket: /run/m, ${text} }`)
    expect(found('', proxy('user: root'))).toEqual([['routers[].metadata.user', 'r1']])
    expect(found('', proxy('group: root'))).toEqual([['routers[].metadata.group', 'r1']])
    expect(found('', proxy('user: haproxy'))).toEqual([])
  })

  test('names the routers that believe routers beside them, and those that are told of connections', () => {
    const believing = router().replace('/18]', '/18], acceptRouterAdvertisements: true')
    expect(found('', believing)).toEqual([['routers[].interfaces[].acceptRouterAdvertisements', 'r1']])
    expect(found('', router('connectionTracking: {}'))).toEqual([['routers[].connectionTracking', 'r1']])
  })

  test('names the routers that advertise by multicast, and those with a password', () => {
    expect(found('', router('', 'multicast: true'))).toEqual([['routers[].ha.multicast', 'r1']])
    expect(found('', router('', 'multicast: { peers: [169.254.192.2] }'))).toEqual([])
    expect(found('', router('', 'unicast: { source: 169.254.192.1, peers: [10.0.9.2], minTtl: 200 }'))).toEqual([
      ['routers[].ha.unicast.minTtl', 'r1'],
    ])
    const signed = (mode: string) =>
      router(`authentication: { hmac: { keys: [{ id: 1, file: /k }], activeKey: 1${mode} } }`)
    expect(found('', signed(''))).toEqual([])
    expect(found('', signed(', mode: permissive'))).toEqual([['routers[].authentication.hmac.mode', 'r1']])
    const password = router('vrrpVersion: 2\n    authentication: { passFile: /p }')
    expect(found('', password)).toEqual([['routers[].authentication', 'r1']])
    const variable = router('vrrpVersion: 2\n    authentication: { pass: { environment: P } }')
    const key = 'stateChange: { senders: [{ key: { id: fleet, environment: K }, routers: [r1] }] }'
    expect(found(key, variable)).toEqual([
      ['stateChange.senders[].key.environment', 'key fleet'],
      ['routers[].authentication', 'r1'],
      ['routers[].authentication.pass.environment', 'r1'],
    ])
  })

  test('names who reaches the socket, and each sender that may speak for all routers', () => {
    expect(found(stateChange(`socketGroup: neutron, ${sender}`))).toEqual([
      ['stateChange.socketGroup', 'neutron'],
      ['stateChange.senders[].routers', 'user neutron', 'key fleet'],
    ])
    expect(found(stateChange(`openToAll: true, ${sender}`))[0]).toEqual(['stateChange.openToAll', 'true'])
  })

  test('names nothing that is stricter than the default', () => {
    const strict = stateChange('others: { connections: 1, perSecond: 1 }, perRouter: { burst: 1 }, senders: []')
    expect(found(`journal: { retainDays: 3650, maxSizeMb: 1024 }\n${strict}`)).toEqual([])
  })
})
