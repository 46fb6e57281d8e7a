import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientNamespace } from '../../src/lab/topology.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { findByArgument } from '../../src/linux/process.ts'
import { run } from '../../src/linux/run.ts'
import { endChild } from '../support/child.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const home = mkdtempSync('/tmp/kwt-metadata-')
const heard: IncomingHttpHeaders[] = []
let service: Server
let it: LabUnderTest

// The proxy has what the unit of keepward-host leaves to its children: it takes a port below 1024, and becomes another user.
beforeAll(async () => {
  chmodSync(home, 0o755)
  service = createServer((request, response) => {
    heard.push(request.headers)
    response.end(`you asked for ${request.url ?? ''}`)
  })
  await new Promise<void>((resolve) => service.listen(join(home, 'socket'), resolve))
  chmodSync(join(home, 'socket'), 0o666)
  it = await labFor('meta', {
    agentUid: 60_991,
    config: (text, { name }) => `${text}
      - { address: 169.254.169.254/32, interface: ext0 }
    metadata: { on: ${name === 'h2' ? 'always' : 'primary'}, socket: ${home}/socket, networkId: n1 }
`,
    prepare: ({ shape }) => {
      ip('-n', clientNamespace(shape.name), 'route', 'add', '169.254.169.254', 'dev', 'eth0')
    },
  })
})
afterAll(async () => {
  await it.down()
  service.close()
  rmSync(home, { recursive: true })
})

/** An instance asks; throws when nobody answers. */
async function ask(...headers: string[]): Promise<string> {
  using namespace = openNamespace(clientNamespace(it.name))
  const words = headers.flatMap((header) => ['-H', header])
  const url = 'http://169.254.169.254/latest'
  return (await run(['curl', '-sS', '--fail', '--max-time', '2', ...words, url], { namespaceFd: namespace.fd })).stdout
}

const answered = () =>
  until('the metadata service answers', async () => (await ask().catch(() => '')) === 'you asked for /latest', 10_000)
const proxiesOn = (host: string): number[] =>
  findByArgument(`${it.lab.host(host).directory}/host/routers/r1/metadata.cfg`, 'haproxy')

test('an instance is answered, and the service learns by whom, whatever the instance says of itself', async () => {
  await it.settled()
  await answered()
  await ask(
    'X-Neutron-Router-ID: forged',
    'X-Forwarded-For: 192.0.2.1',
    'x_forwarded_for: 192.0.2.2',
    'X-TENANT-ID: forged',
    'X_Instance_ID-Signature: forged',
    'X-Neutron-Network-ID: forged',
  )
  expect(heard.at(-1)).toMatchObject({
    'x-neutron-router-id': 'r1',
    'x-neutron-network-id': 'n1',
    'x-forwarded-for': '198.51.100.250',
  })
  expect(JSON.stringify(heard.at(-1))).not.toMatch(/forged|192\.0\.2\.1/)
})

test('it is answered after each of three failovers; the proxy runs where its config wants it', async () => {
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(it.other(primary), 'primary')
    await it.role(primary, 'backup')
    await answered()
    await until('each has what it is to have', async () => {
      const one = (await it.router('h1')).role === 'primary'
      return proxiesOn('h1').length > 0 === one && proxiesOn('h2').length > 0
    })
    for (const host of ['h1', 'h2']) await it.noCondition(host)
  }
})

test('a proxy that cannot start shows as reaction-failed, and works once it can', async () => {
  const primary = await it.settled()
  const listen = "require('net').createServer().listen(81, '0.0.0.0', () => console.log('listens'))"
  const stranger = spawn('ip', ['netns', 'exec', it.namespace(primary), process.execPath, '-e', listen])
  await once(stranger.stdout, 'data')
  it.editConfig(primary, (text) => text.replace('networkId: n1', 'networkId: n1, port: 81'))
  await it.apply(primary)
  expect(await it.condition(primary, 'reaction-failed')).toMatch(/^metadata as primary: [^]*169\.254\.169\.254:81/)
  await endChild(stranger)
  await it.noCondition(primary)
  it.editConfig(primary, (text) => text.replace(', port: 81', ''))
  await it.apply(primary)
  await it.noCondition(primary)
  await answered()
})
