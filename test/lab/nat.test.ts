import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientNamespace, innerNamespace } from '../../src/lab/topology.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

/** Inside: 10.9.0.250 has a floating address, its neighbours 10.9.0.251 and .252 share one, of the router or of the interface. */
const floating = { v4: '198.51.100.20', v6: '2001:db8:1::20' }
const others = ['10.9.0.251/24', '10.9.0.252/24', '2001:db8:9::fb/64', '2001:db8:9::fc/64']
const port = 4000

let it: LabUnderTest
const servers: ChildProcess[] = []

beforeAll(async () => {
  it = await labFor('nat', {
    innerNetwork: true,
    config: (text) => `${text}
      - { address: ${floating.v4}/24, interface: ext0 }
      - { address: "${floating.v6}/64", interface: ext0 }
    nat:
      floating:
        - { outside: ${floating.v4}, inside: 10.9.0.250 }
        - { outside: "${floating.v6}", inside: "2001:db8:9::fa" }
      source:
        - { from: [10.9.0.251/32], to: 198.51.100.1 }
        - { from: ["2001:db8:9::fb/128"], to: "2001:db8:1::1" }
      masquerade: [{ from: [10.9.0.0/24, "2001:db8:9::/64"], interface: ext0 }]
`,
    prepare: ({ shape }) => {
      const inner = innerNamespace(shape.name)
      for (const address of others) ip('-n', inner, 'address', 'add', address, 'dev', 'eth0', ...nodad(address))
    },
  })
  for (const namespace of [clientNamespace(it.name), innerNamespace(it.name)]) await serve(namespace)
})
afterAll(async () => {
  await Promise.all(servers.filter((one) => one.kill()).map((one) => once(one, 'exit')))
  await it.down()
})

const nodad = (address: string): string[] => (address.includes(':') ? ['nodad'] : [])

/** Answers each connection with the address that it comes from. */
async function serve(namespace: string): Promise<void> {
  const text = `require('net').createServer((one) => one.on('error', () => {}).end(one.remoteAddress)).listen(${String(port)}, '::', () => console.log('ready'))`
  const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', text], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  servers.push(child)
  await once(child.stdout, 'data')
}

/** From which address `to` sees a connection from `from` come; undefined: it sees none. */
async function seenAs(namespace: string, from: string, to: string): Promise<string | undefined> {
  const text = `require('net').connect({ host: '${to}', port: ${String(port)}, localAddress: '${from}', timeout: 1000 }).on('timeout', function () { this.destroy() }).on('error', () => {}).pipe(process.stdout)`
  const child = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', text], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await once(child, 'close')
  return said === '' ? undefined : said.replace(/^::ffff:/, '')
}

/** Every kind of translation, in both families. */
async function translates(): Promise<void> {
  const [outer, inner] = [clientNamespace(it.name), innerNamespace(it.name)]
  const expected = [
    [outer, '198.51.100.250', floating.v4, '198.51.100.250'],
    [outer, '2001:db8:1::fa', floating.v6, '2001:db8:1::fa'],
    [inner, '10.9.0.250', '198.51.100.250', floating.v4],
    [inner, '2001:db8:9::fa', '2001:db8:1::fa', floating.v6],
    [inner, '10.9.0.251', '198.51.100.250', '198.51.100.1'],
    [inner, '2001:db8:9::fb', '2001:db8:1::fa', '2001:db8:1::1'],
    [inner, '10.9.0.252', '198.51.100.250', '198.51.100.1'],
    // A neighbour that asks for the floating address is answered by way of the router.
    [inner, '10.9.0.251', floating.v4, '198.51.100.1'],
  ] as const
  // Who had the role before may be asked a last time.
  for (const [namespace, from, to, seen] of expected)
    await until(`${from} comes to ${to} as ${seen}`, async () => (await seenAs(namespace, from, to)) === seen)
  // Of several IPv6 addresses of the interface the kernel chooses one.
  expect(await seenAs(inner, '2001:db8:9::fc', '2001:db8:1::fa')).toMatch(/^2001:db8:1::(1|20)$/)
}

const holds = (host: string): boolean => it.addresses(host, 'ha0').includes('169.254.0.1/24')
const rules = (host: string): string =>
  ip('netns', 'exec', it.namespace(host), 'nft', 'list', 'table', 'inet', 'keepward_nat')

test('addresses are translated, before and after each of three failovers, by the same rules on both hosts', async () => {
  await it.settled()
  await translates()
  expect(rules('h1')).toBe(rules('h2'))
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(it.other(primary), 'primary')
    await translates()
  }
})

test('with the agents dead, the host that takes over translates at once', async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  for (const host of ['h1', 'h2']) await it.lab.killAgent(host)
  it.ip(primary, 'r1', 'link', 'set', 'ha0', 'down')
  await until('the other has the addresses', () => !holds(primary) && holds(heir))
  await translates()
  it.ip(primary, 'r1', 'link', 'set', 'ha0', 'up')
  for (const host of ['h1', 'h2']) it.lab.startAgent(host)
  await it.settled()
  await translates()
})

test('a table that somebody removes is made again, and goes when the config wants none', async () => {
  const primary = await it.settled()
  ip('netns', 'exec', it.namespace(primary), 'nft', 'delete', 'table', 'inet', 'keepward_nat')
  await until('the table is back', () => rulesOrNone(primary) !== '', 30_000)
  await translates()
  it.editConfig(primary, (text) => text.replace(/    nat:[^]*$/, ''))
  await it.apply(primary)
  await until('the table is gone', () => rulesOrNone(primary) === '')
  expect(await seenAs(clientNamespace(it.name), '198.51.100.250', floating.v4)).toBeUndefined()
})

function rulesOrNone(host: string): string {
  try {
    return rules(host)
  } catch {
    return ''
  }
}
