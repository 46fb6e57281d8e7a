import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { configDocs } from './docs.ts'
import { loadConfig } from './load.ts'

const docs = join(import.meta.dirname, '..', '..', 'docs')
const written = (name: string) => readFileSync(join(docs, name), 'utf8')

test.each(['agent.example.yaml', 'agent.schema.json', 'config.md'])('docs/%s is what the schema gives', (name) => {
  expect(written(name), 'run script/node src/config/write-docs.ts').toBe(configDocs()[name])
})

test('loadConfig() loads docs/agent.example.yaml', () => {
  const config = loadConfig(written('agent.example.yaml'), 'agent.example.yaml', 'other-host')
  expect(config.agent).toEqual({ id: 'other-host', user: 'keepward' })
  expect(config.routers.map(({ id }) => id)).toEqual(['r1', 'e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d'])
  expect(config.routers.map(({ marker }) => marker.address)).toEqual(['169.254.0.7', 'fe80::5652:8'])
})

test('loadConfig() loads docs/agent.example.yaml when each key that is commented out is put in', () => {
  const lines = written('agent.example.yaml').split('\n')
  const keys = lines.flatMap((line, index) => (/^ *# [a-zA-Z]+: /.test(line) ? [index] : []))
  const shown = keys.map((at) => lines[at]?.trim())
  expect(shown).toEqual([
    '# id: host-a',
    '# anchors: /var/lib/keepward-anchors',
    '# metricsPort: 9841',
    '# syslogSocket: /dev/log',
    '# syslogServer: 192.0.2.10',
    '# socketGroup: neutron',
    '# openToAll: true',
    '# sinks: [ { name: fleet, nats: { servers: [ tls://nats.example.net:4222 ] } } ]',
    '# vault: { address: https://vault.example.net:8200, caFile: /etc/keepward/vault-ca.pem, host: { appRole: { roleId: keepward-host, secretId: { file: /etc/keepward/secrets/vault } } } }',
    '# namespace: keepward-r1',
    '# minTtl: 254',
    '# multicast: { peers: [ 169.254.192.2, 169.254.192.3 ] }',
    '# marker: 169.254.0.7/24',
    '# track: [ ha0 ]',
    '# mtu: 1500',
    '# macAddress: 02:00:00:00:00:01',
    '# metric: 100',
    '# mtu: 1400',
    '# networkId: 0b7f3c1e-3f0a-4c43-9d7e-5b5f4b1f9f10',
    '# packetFilter: { file: /etc/keepward/r1.nft }',
  ])
  for (const key of keys.filter((at) => !lines[at]?.includes('multicast'))) {
    const text = lines.map((line, index) => (index === key ? line.replace('# ', '') : line)).join('\n')
    expect(() => loadConfig(text, 'agent.example.yaml', 'host-a')).not.toThrow()
  }
})

test('loadConfig() loads docs/agent.example.yaml with each other way to write a key', () => {
  const all = written('agent.example.yaml').split('\n')
  const lines = all.slice(
    0,
    all.findIndex((line) => line.startsWith('  - id: ')),
  )
  const others = lines.flatMap((line, index) => (line.includes('#   or  ') ? [index] : []))
  expect(others).toHaveLength(15)
  for (const at of others) {
    const other = lines[at]?.replace('#   or  ', '') ?? ''
    const key = other.slice(0, other.indexOf(':') + 1)
    const shown = lines.findIndex((line, index) => index > at && line.startsWith(key))
    const text = lines.map((line, index) => (index === shown ? other : line)).join('\n')
    const fit = other.includes('passFile') ? text.replace('vrrpVersion: 3', 'vrrpVersion: 2') : text
    expect(() => loadConfig(fit, 'agent.example.yaml', 'host-a'), other).not.toThrow()
  }
})
