import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalAll } from '../../src/lab/processes.ts'
import { clientNamespace, innerNamespace } from '../../src/lab/topology.ts'
import { capture, type Capture, type Frame } from '../support/capture.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

/** More than one of each family, on more than one interface; all but the marker are keepalived's excluded ones. */
const outer = ['198.51.100.1', '198.51.100.101', '198.51.100.102', '2001:db8:1::1', '2001:db8:1::101', 'fe80::1']
const inner = ['10.9.0.1', '2001:db8:9::1']
const added = `
      - { address: 198.51.100.101/24, interface: ext0 }
      - { address: 198.51.100.102/32, interface: ext0 }
      - { address: "2001:db8:1::101/64", interface: ext0 }
      - { address: "fe80::1/64", interface: ext0 }
    announcements: { repeat: 2, delay: 2s, refresh: 4s }
`

let it: LabUnderTest
/** By client: what comes in at it. */
const captures: Record<'outer' | 'inner', Capture | undefined> = { outer: undefined, inner: undefined }

beforeAll(async () => {
  it = await labFor('announce', {
    innerNetwork: true,
    config: (text) => text.trimEnd() + added,
    prepare: async ({ shape }) => {
      captures.outer = await capture(clientNamespace(shape.name), 'eth0')
      captures.inner = await capture(innerNamespace(shape.name), 'eth0')
    },
  })
})
afterAll(async () => {
  for (const one of Object.values(captures)) one?.[Symbol.dispose]()
  await it.down()
})

const clients = [
  { client: 'outer', device: 'ext0', addresses: outer, namespace: () => clientNamespace(it.name) },
  { client: 'inner', device: 'int0', addresses: inner, namespace: () => innerNamespace(it.name) },
] as const

const macOf = (host: string, device: string): string | undefined =>
  /link\/ether (\S+)/.exec(it.ip(host, 'r1', 'link', 'show', 'dev', device))?.[1]

/** When the address was announced with this hardware address, from a moment on. */
function announced(client: 'outer' | 'inner', address: string, mac: string | undefined, sinceMs = 0): number[] {
  const says = address.includes(':') ? `neighbour-advertisement ${address}` : `arp-announcement ${address}`
  const ours = (one: Frame) => one.says === says && one.from === mac && one.to === broadcast(address)
  return (captures[client]?.frames ?? []).filter((one) => ours(one) && one.atMs >= sinceMs).map(({ atMs }) => atMs)
}

/** RFC 4861, 7.2.6: to all nodes. */
const broadcast = (address: string): string => (address.includes(':') ? '33:33:00:00:00:01' : 'ff:ff:ff:ff:ff:ff')

test('each address is announced twice by the new primary, twice again after the delay, and then at each refresh', async () => {
  const primary = await it.settled()
  for (const { client, device, addresses } of clients)
    for (const address of addresses) {
      const times = await until(`${address} is announced six times`, () => {
        const found = announced(client, address, macOf(primary, device))
        return found.length >= 6 && found
      })
      const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0] = times
      expect(second - first, address).toBeLessThan(1000)
      expect(third - second, address).toBeGreaterThan(1000)
      expect(fourth - third, address).toBeLessThan(1000)
      expect(fifth - fourth, address).toBeGreaterThan(1000)
      expect(sixth - fifth, address).toBeGreaterThan(2000)
      expect(announced(client, address, macOf(it.other(primary), device)), address).toEqual([])
    }
})

test.each([1, 2, 3])(
  'clients that knew the one before reach each address at the new primary at once: failover %i',
  async () => {
    const primary = await it.settled()
    const heir = it.other(primary)
    for (const { addresses, namespace, device } of clients)
      for (const address of addresses) {
        await until(`${address} answers`, () => ping(namespace(), address))
        expect(neighbour(namespace(), address)).toBe(macOf(primary, device))
      }
    await signalAll(it.lab.keepalivedPids(primary, 'r1').slice(0, 1), 'SIGTERM')
    await it.role(heir, 'primary')
    for (const { addresses, namespace, device } of clients)
      for (const address of addresses) {
        const wanted = macOf(heir, device)
        await until(`${address} is at ${heir}`, () => neighbour(namespace(), address) === wanted, 1000)
        expect(ping(namespace(), address), address).toBe(true)
      }
  },
)

test('an address that comes while the router is primary is announced; that, and other times, move no role', async () => {
  const primary = await it.settled()
  const since = Date.now()
  const before = await it.lastSeq(primary)
  it.editConfig(primary, (text) =>
    text
      .replace(/(\n *- \{ address: )198\.51\.100\.102\/32(.*)/, '$&$1198.51.100.103/24$2$1"2001:db8:1::103/64"$2')
      .replace('refresh: 4s', 'refresh: 1s'),
  )
  await it.apply(primary)
  for (const address of ['198.51.100.103', '2001:db8:1::103'])
    await until(
      `${address} is announced, now each second`,
      () => announced('outer', address, macOf(primary, 'ext0'), since).length > 5,
    )
  await it.noCondition(primary)
  expect(await it.transitions(primary, 'r1', before)).toEqual([])
})

/** What a client believes of an address, without asking. */
const neighbour = (namespace: string, address: string): string | undefined =>
  /lladdr (\S+)/.exec(ip('-n', namespace, 'neighbour', 'show', 'to', address, 'dev', 'eth0'))?.[1]

function ping(namespace: string, address: string): boolean {
  const scope = address.startsWith('fe80:') ? '%eth0' : ''
  try {
    ip('netns', 'exec', namespace, 'ping', '-n', '-q', '-c1', '-W1', address + scope)
    return true
  } catch {
    return false
  }
}
