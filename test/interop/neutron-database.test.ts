import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokerUser, installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { until } from '../support/until.ts'

const program = '/usr/bin/neutron-rpc-server'
const database = new URL('neutron-database.py', import.meta.url).pathname
const routers = [...Array(30).keys()].map(routerOf)

let broker: Rabbitmq
let directory: string
let server: ChildProcess

/** Debian's own neutron-rpc-server: what a Neutron server is but for its API, with ML2 and the router plugin, on SQLite. */
beforeAll(async () => {
  installRabbitmq()
  const setup = new URL('../../script/setup', import.meta.url).pathname
  if (!existsSync(program)) execFileSync(setup, ['--with', 'neutron-server'], { stdio: 'inherit', timeout: 600_000 })
  directory = mkdtempSync(join(tmpdir(), 'keepward-neutron-'))
  broker = await Rabbitmq.start()
  const at = join(directory, 'neutron.db')
  execFileSync('/usr/bin/python3', [database, 'make', at, 'network-1', ...routers], { timeout: 60_000 })
  const { user, password } = brokerUser
  const settings = {
    ...{ core_plugin: 'ml2', service_plugins: 'router', auth_strategy: 'noauth', l3_ha: 'true', rpc_workers: '1' },
    ...{ rpc_state_report_workers: '0', state_path: directory },
    transport_url: `rabbit://${user}:${password}@127.0.0.1:${String(broker.port)}/`,
  }
  const lines = [
    ...['[DEFAULT]', ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`)],
    ...['[database]', `connection = sqlite:///${at}`, '[oslo_concurrency]', `lock_path = ${directory}/lock`],
    ...['[ml2]', 'type_drivers = flat,vlan,vxlan', 'tenant_network_types = vxlan', 'mechanism_drivers = openvswitch'],
  ]
  writeFileSync(join(directory, 'neutron.conf'), `${lines.join('\n')}\n`, { mode: 0o600 })
  const log = openSync(join(directory, 'log'), 'w')
  // A group of its own, so that its workers end with it.
  server = spawn(program, ['--config-file', join(directory, 'neutron.conf')], {
    ...{ stdio: ['ignore', log, log], cwd: directory, detached: true },
  })
  closeSync(log)
}, 900_000)

afterAll(async () => {
  if (server.pid !== undefined && server.exitCode === null) {
    const over = once(server, 'exit')
    process.kill(-server.pid, 'SIGKILL')
    await over
  }
  await broker[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

const states = (): unknown =>
  JSON.parse(
    execFileSync('/usr/bin/python3', [database, 'show', join(directory, 'neutron.db')], { timeout: 30_000 }).toString(),
  )

test('what is told stands in the database of a real Neutron server once send() resolves', async () => {
  await using it = neutronSink({ brokers: [`amqp://127.0.0.1:${String(broker.port)}`], plaintext: true })
  await until(
    'the server listens',
    async () => {
      if (server.exitCode !== null) throw new Error(readFileSync(join(directory, 'log'), 'utf8').slice(-2000))
      await it.there()
      await it.sink.send(reportOf(routerOf(0), 'backup'), AbortSignal.timeout(10_000))
      return true
    },
    90_000,
  )
  const tell = (role: string) =>
    Promise.all(routers.map((router) => it.sink.send(reportOf(router, role), AbortSignal.timeout(60_000))))
  for (const [role, state] of [
    ['primary', 'active'],
    ['fault', 'standby'],
    ['unknown', 'unknown'],
    ['backup', 'standby'],
  ] as const) {
    await tell(role)
    expect(states()).toEqual(Object.fromEntries(routers.map((router) => [router, state])))
  }
})

test('a host that Neutron does not know is answered like any other, and nothing is written: docs/neutron.md says how to look', async () => {
  await using it = neutronSink({
    brokers: [`amqp://127.0.0.1:${String(broker.port)}`],
    plaintext: true,
    host: 'network-l',
  })
  await it.there()
  const before = states()
  await it.sink.send(reportOf(routerOf(0), 'primary'), AbortSignal.timeout(60_000))
  expect(states()).toEqual(before)
  expect(it.state?.trouble).toBeUndefined()
})
