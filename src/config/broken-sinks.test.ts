import { expect, test } from 'vitest'
import { describeError } from '../base/error.ts'
import { loadConfig } from './load.ts'

const load = (sinks: string) => loadConfig(`version: 1\nrouters: []\nsinks:\n${sinks}`, 'agent.yaml', 'host-a')

const nats = "nats: { servers: ['tls://n1:4222'] }"
const neutron = "neutron: { brokers: ['amqps://b1:5671'], user: keepward, password: { file: /etc/pw } }"

test('loadConfig() completes each kind of sink', () => {
  const text = `
  - { name: fleet, ${nats} }
  - { name: cloud, ${neutron} }
  - { name: pager, delivery: history, webhook: { url: 'https://h.example.net/k?a=1', secret: { credential: pager } } }`
  const common = { delivery: 'latest', repeatMs: 300_000, caFile: undefined, clientCertificate: undefined }
  expect(load(text).sinks).toEqual([
    { type: 'nats', name: 'fleet', ...common, servers: ['tls://n1:4222'], nkey: undefined, plaintext: false },
    {
      ...{ type: 'neutron', name: 'cloud', ...common, brokers: ['amqps://b1:5671'], virtualHost: '/' },
      ...{ user: 'keepward', password: { kind: 'file', path: '/etc/pw' }, plaintext: false, host: undefined },
      ...{
        method: 'call',
        exchange: 'neutron',
        topic: 'q-l3-plugin',
        replyQueue: 'transient',
        primaryDelayMs: undefined,
      },
    },
    {
      ...{ type: 'webhook', name: 'pager', ...common, delivery: 'history', url: 'https://h.example.net/k?a=1' },
      ...{ secret: { kind: 'credential', name: 'pager' }, allowNetworks: [] },
      filter: { routers: undefined, kinds: undefined, roles: undefined },
    },
  ])
})

test.each([
  [
    'a name that there is already',
    `  - { name: a, ${nats} }\n  - { name: a, ${nats} }`,
    'agent.yaml:5:13 sinks[1].name: is "a", must differ from sinks[0].name on line 4',
  ],
  [
    'a sink that leads nowhere',
    '  - { name: a }',
    'agent.yaml:4:5 sinks[0]: names nowhere, must name one of nats, neutron and webhook',
  ],
  [
    'two ways in one',
    `  - { name: a, ${nats}, ${neutron} }`,
    'agent.yaml:4:5 sinks[0]: names nats and neutron, must name one of nats, neutron and webhook',
  ],
  [
    'NATS without TLS that nobody asked for',
    "  - { name: a, nats: { servers: ['nats://n1:4222'] } }",
    'agent.yaml:4:34 sinks[0].nats.servers[0]: is nats://n1:4222, must be tls:// unless plaintext is true',
  ],
  [
    'RabbitMQ without TLS that nobody asked for',
    `  - { name: a, ${neutron.replace('amqps', 'amqp')} }`,
    'agent.yaml:4:37 sinks[0].neutron.brokers[0]: is amqp://b1:5671, must be amqps:// unless plaintext is true',
  ],
  [
    'a transport_url of oslo.messaging, whose password is not repeated',
    `  - { name: a, ${neutron.replace('b1:5671', 'neutron:hunter/two@b1:5671/v')} }`,
    'agent.yaml:4:37 sinks[0].neutron.brokers[0]: is a text of 36 characters (not shown), must be amqps:// with a host and a port, such as amqps://rabbit.example.net:5671',
  ],
  [
    'a password where its source belongs',
    `  - { name: a, ${neutron.replace('{ file: /etc/pw }', 'hunter-two')} }`,
    'agent.yaml:4:83 sinks[0].neutron.password: is a text of 10 characters (not shown), must be a map with one of the keys file, credential, command, environment and vault',
  ],
  [
    'a seed where its source belongs',
    "  - { name: a, nats: { servers: ['tls://n1:4222'], nkey: SUABC } }",
    'agent.yaml:4:58 sinks[0].nats.nkey: is a text of 5 characters (not shown), must be a map with one of the keys file, credential, command, environment and vault',
  ],
  [
    'a secret where its source belongs',
    "  - { name: a, webhook: { url: 'https://h.example.net/k', secret: whsec_abc } }",
    'agent.yaml:4:67 sinks[0].webhook.secret: is a text of 9 characters (not shown), must be a map with one of the keys file, credential, command, environment and vault',
  ],
  [
    'a history for Neutron',
    `  - { name: a, delivery: history, ${neutron} }`,
    'agent.yaml:4:26 sinks[0].delivery: is history, must be latest: Neutron keeps what it is told last',
  ],
  [
    'a webhook over HTTP',
    "  - { name: a, webhook: { url: 'http://h/', secret: { file: /etc/s } } }",
    'agent.yaml:4:32 sinks[0].webhook.url: is a text of 9 characters (not shown), must be https:// with a host and a path, such as https://hooks.example.net/keepward',
  ],
  [
    'a secret of Vault without a login',
    "  - { name: a, webhook: { url: 'https://h/', secret: { vault: { path: a, field: b } } } }",
    'agent.yaml:4:63 sinks[0].webhook.secret.vault: is there, so vault.agent must be: the login of the agent',
  ],
])('loadConfig() refuses %s', (_name, sinks, problem) => {
  expect(() => load(sinks)).toThrow(problem)
})

test.each([
  ['a user in the url', "webhook: { url: 'https://keepward:pl4nted@h.example.net/k', secret: { file: /etc/s } }"],
  ['a path of a url over HTTP', "webhook: { url: 'http://h.example.net/pl4nted', secret: { file: /etc/s } }"],
  ['a user in a url without a scheme', "webhook: { url: 'keepward:pl4nted@h.example.net', secret: { file: /etc/s } }"],
  ['a url where its map belongs', 'webhook: https://h.example.net/pl4nted'],
  ['a list of urls', "webhook: { url: ['https://h.example.net/pl4nted'], secret: { file: /etc/s } }"],
  ['a user in a server of NATS', "nats: { servers: ['tls://keepward:pl4nted@n1:4222'] }"],
  ['a token in a server of NATS', "nats: { servers: ['pl4nted@n1:4222'], plaintext: true }"],
  ['one server', "nats: { servers: 'tls://keepward:pl4nted@n1:4222' }"],
  ['a server where its map belongs', 'nats: tls://keepward:pl4nted@n1:4222'],
  ['a user in a broker', `neutron: { brokers: ['amqps://keepward:pl4nted@b1:5671'], user: k, password: { file: /s } }`],
  ['a query of a broker', "neutron: { brokers: ['amqps://b1:5671/?pl4nted'], user: k, password: { file: /s } }"],
  ['a user with a password', "neutron: { brokers: ['amqps://b1:5671'], user: 'k:pl4nted', password: { file: /s } }"],
  [
    'a virtual host',
    "neutron: { brokers: ['amqps://b1:5671'], virtualHost: 'k:pl4nted@b1/v', user: k, password: { file: /s } }",
  ],
  ['a command with a password', "nats: { servers: ['tls://n1:4222'], nkey: { command: ['/bin/get', 'pl4nted!'] } }"],
])('loadConfig() names the place of what may be a secret, and does not repeat it: %s', (_name, sink) => {
  const refusal = () => {
    try {
      return load(`  - { name: a, ${sink} }`)
    } catch (error) {
      return describeError(error)
    }
  }
  expect(refusal()).toMatch(/^agent\.yaml:4:\d+ sinks\[0\]\./)
  expect(refusal()).not.toContain('pl4nted')
})

test('a sink without TLS is what somebody wrote', () => {
  expect(load("  - { name: a, nats: { servers: ['nats://n1:4222'], plaintext: true } }").sinks).toMatchObject([
    { plaintext: true },
  ])
})
