import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AgentStatus, EventView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { lookAtFiles, lookAtMemory } from '../support/hunting-ground.ts'
import { program } from '../support/lab.ts'
import { Hunt, plantKey, plantPassword } from '../support/planted.ts'
import { until } from '../support/until.ts'
import { makeCertificates, VaultServer } from '../support/vault-server.ts'

/* Both processes as they are shipped, each with a login of its own at a Vault. */

const uid = 60_990
const password = plantPassword('password of the router')
const key = plantKey('key of the sender')

let home: string
let server: VaultServer
let bridge: string
let hunt: Hunt
let processes: ChildProcess[] = []

const at = (...names: string[]) => join(home, ...names)
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })

beforeEach(async () => {
  home = mkdtempSync('/run/kwt-vault-')
  chmodSync(home, 0o711)
  bridge = `kwv${String(process.pid)}`
  ip('link', 'add', bridge, 'up', 'type', 'bridge')
  mkdirSync(at('tls'), { mode: 0o700 })
  makeCertificates(at('tls'))
  copyFileSync(at('tls', 'ca.pem'), at('ca.pem'))
  for (const name of ['state', 'run']) {
    mkdirSync(at(name), { mode: 0o700 })
    chownSync(at(name), uid, uid)
  }
  server = await VaultServer.start(at('tls'))
  server.secrets.set('secret/keepward/r1', { password: password.text })
  server.secrets.set('secret/keepward/fleet', { key: key.text })
})
afterEach(async () => {
  await end(processes.at(-1))
  const agent = ['-c', at('agent.yaml'), 'agent', '--teardown']
  execFileSync(program, agent, { uid, gid: uid, stdio: 'pipe', timeout: 30_000 })
  for (const one of processes) await end(one)
  processes = []
  await server.close()
  ip('link', 'delete', bridge)
  rmSync(home, { recursive: true })
})

async function end(one: ChildProcess | undefined): Promise<void> {
  if (one?.exitCode !== null || one.signalCode !== null) return
  one.kill('SIGTERM')
  await once(one, 'exit')
}

function secretFile(name: string, text: string, owner: number): string {
  writeFileSync(at(name), `${text}\n`, { mode: 0o600 })
  chownSync(at(name), owner, owner)
  return at(name)
}

function writeConfig(secretId: string, roleId: string, token: string): void {
  const text = `version: 1
agent: { id: kwt-${String(process.pid)}, user: ${String(uid)} }
paths: { state: ${home}/state, run: ${home}/run, host: ${home}/host }
logging: { level: debug }
vault:
  address: ${server.address}
  caFile: ${home}/ca.pem
  host: { appRole: { roleId: ${roleId}, secretId: { file: ${secretId} } } }
  agent: { token: { file: ${token} } }
stateChange: { senders: [{ key: { id: fleet, vault: { path: keepward/fleet, field: key } }, routers: [r1] }] }
routers:
  - id: r1
    vrid: 1
    vrrpVersion: 2
    authentication: { pass: { vault: { path: keepward/r1, field: password } } }
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.99] } }
    interfaces: [{ name: ha0, attach: { bridge: ${bridge} }, addresses: [169.254.192.1/18] }]
    virtualAddresses: [{ address: 203.0.113.1/24, interface: ha0 }]
`
  writeFileSync(at('agent.yaml'), text, { mode: 0o644 })
}

function start(command: 'host' | 'agent'): void {
  const as = command === 'agent' ? uid : 0
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
  const env = { PATH: process.env['PATH'] }
  const started = spawn(program, ['-c', at('agent.yaml'), command], { stdio, env, uid: as, gid: as, cwd: '/' })
  processes.push(started)
  for (const stream of ['stdout', 'stderr'] as const) {
    started[stream].on('data', (bytes: Buffer) => {
      hunt.look(`log of ${command}`, bytes)
    })
  }
}

const ask = <T>(path: string, method: 'GET' | 'POST' = 'GET') => callAt<T>(at('run', 'control.sock'), method, path)
const conditions = async () => (await ask<AgentStatus>('/v1/status')).conditions.map(({ code }) => code)
const vaultText = async () =>
  (await ask<AgentStatus>('/v1/status')).conditions.find(({ code }) => code === 'vault-unavailable')?.text ?? ''
const role = async () => (await ask<AgentStatus>('/v1/status')).routers.find(({ id }) => id === 'r1')?.role
const notify = () =>
  execFileSync(
    program,
    ['-c', at('agent.yaml'), 'notify', 'r1', 'primary', '--key-file', at('fleet.key'), '--key-id', 'fleet'],
    { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 },
  )

test('what Vault keeps is read by who has the login, stays in use while Vault is lost, and is told to nobody', async () => {
  const { roleId, secretId } = server.addRole({ ttlS: 3 })
  // It lives on while Vault is sealed, and must still do so when the agent first shows it.
  const token = server.issue({ ttlS: 15 })
  hunt = new Hunt([password, key, { name: 'secret id', text: secretId }, { name: 'token', text: token }])
  const sinceMs = Date.now()
  writeConfig(secretFile('secret-id', secretId, 0), roleId, secretFile('token', token, uid))
  secretFile('fleet.key', key.text, 0)
  // Vault is lost already when both start: roles are told all the same.
  server.sealed = true
  start('host')
  start('agent')
  await until('it is said', async () => (await conditions()).includes('vault-unavailable'), 20_000)
  server.sealed = false
  await until('the router runs with its password', async () => (await role()) === 'primary', 60_000)
  expect(readFileSync(at('host', 'routers', 'r1', 'keepalived.conf'), 'utf8')).toContain(`auth_pass "${password.text}"`)
  await until('the key is there', async () => !(await conditions()).includes('vault-unavailable'), 30_000)
  notify()
  await until('tokens are renewed', () => server.times('auth/token/renew-self') >= 4, 20_000)

  server.sealed = true
  await ask('/v1/apply', 'POST')
  await until('it is said of both', async () => (await vaultText()).split('what was read before').length === 2, 20_000)
  await until('the agent’s own too', async () => (await vaultText()).split('is sealed').length === 3, 20_000)
  expect(await role()).toBe('primary')
  const explained = JSON.stringify(await ask('/v1/routers/r1'))
  expect(explained).not.toContain('wanted not to be')
  notify()

  server.sealed = false
  const [host = 0, agent = 0] = processes.map(({ pid }) => pid ?? 0)
  const ofHost = new Hunt([password, { name: 'secret id', text: secretId }])
  const ofAgent = new Hunt([key])
  lookAtMemory(ofHost, agent)
  lookAtMemory(ofAgent, host)
  expect([...ofHost.found, ...ofAgent.found]).toEqual([])
  for (const path of ['/v1/status', '/v1/plan', '/v1/events?limit=1000', '/v1/routers/r1'])
    hunt.look(path, JSON.stringify(await ask(path)))
  const sources = new Set(['secret-id', 'token', 'fleet.key', 'agent.yaml'])
  lookAtFiles(hunt, { home, sinceMs, isSource: (name) => sources.has(name) || name.startsWith('tls/') })
  expect([...hunt.found]).toEqual([])
  expect(hunt.seen.get('log of host')).toBeGreaterThan(0)
  const events = await ask<EventView[]>('/v1/events?limit=1000')
  const read = events.filter(({ body }) => body['change'] === 'secret-read')
  expect(new Set(read.map(({ body }) => `${String(body['by'])} ${String(body['source'])}`))).toEqual(
    new Set([
      `agent ${home}/state/state-change.key`,
      `agent ${home}/token`,
      `host ${home}/secret-id`,
      'agent secret/keepward/fleet#key of Vault',
      'host secret/keepward/r1#password of Vault',
    ]),
  )
}, 180_000)
