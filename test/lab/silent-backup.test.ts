import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProbe } from '../../src/lab/probe.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { clientNamespace, fabricNamespace, innerClientAddress } from '../../src/lab/topology.ts'
import { capture, type Capture } from '../support/capture.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

/** A frame is seen so much later than it was sent, at most. */
const captureLagMs = 200
/** What is not the HA interface. */
const links = ['ext', 'int'] as const
type Link = (typeof links)[number]

let it: LabUnderTest
const captures = new Map<string, Capture>()

beforeAll(async () => {
  it = await labFor('silent', {
    innerNetwork: true,
    // An address that both hosts share as the source of router advertisements, too.
    config: (text) => `${text}      - { address: "fe80::1/64", interface: int0 }
    routerAdvertisements:
      - { interface: int0, interval: 4s, prefixes: [{ prefix: "2001:db8:9::/64" }] }
`,
    prepare: async ({ shape, hosts }) => {
      // At the switch, and before anything runs that could speak.
      for (const { name } of hosts)
        for (const link of links)
          captures.set(`${name} ${link}`, await capture(fabricNamespace(shape.name), `${link}-${name}`))
      ip('-n', clientNamespace(shape.name), 'route', 'add', '2001:db8:9::/64', 'via', '2001:db8:1::1', 'dev', 'eth0')
    },
  })
})
afterAll(async () => {
  for (const one of captures.values()) one[Symbol.dispose]()
  await it.down()
})

/** What the router of a host said on a link since then, the other frames of that host left out. */
function said(host: string, link: Link, sinceMs = 0): string[] {
  const mac = /link\/ether (\S+)/.exec(it.ip(host, 'r1', 'link', 'show', 'dev', `${link}0`))?.[1]
  const frames = captures.get(`${host} ${link}`)?.frames ?? []
  return frames.filter(({ from, atMs }) => from === mac && atMs >= sinceMs).map(({ says }) => says)
}

const allSaid = (host: string, sinceMs = 0): string[] => links.flatMap((link) => said(host, link, sinceMs))

/** For so long, and since that moment. */
async function staysSilent(host: string, sinceMs: number, ms: number): Promise<void> {
  await wait(ms)
  expect(allSaid(host, sinceMs)).toEqual([])
}

/** The kernel's word, which needs no agent. */
const holdsMarker = (host: string): boolean => it.addresses(host, 'ha0').includes('169.254.0.1/24')

/** Ways to lose the role; each gives the host that has it afterwards. */
const losses = {
  'its keepalived is killed': async (host: string) => {
    await it.lab.killKeepalived(host, 'r1')
    await it.role(it.other(host), 'primary')
    await it.role(host, 'backup')
    return it.other(host)
  },
  'its keepalived is ended in an orderly manner': async (host: string) => {
    await endKeepalived(host)
    await it.role(it.other(host), 'primary')
    return it.other(host)
  },
  'both were primary': async (host: string) => {
    it.lab.cut(it.other(host))
    await until('both are primary', () => holdsMarker('h1') && holdsMarker('h2'))
    it.lab.heal()
    await until('one is', () => holdsMarker('h1') !== holdsMarker('h2'))
    return holdsMarker('h1') ? 'h1' : 'h2'
  },
}

const endKeepalived = (host: string) => signalAll(it.lab.keepalivedPids(host, 'r1').slice(0, 1), 'SIGTERM')

/** An IPv6 echo from a client outside through the router to the client behind it, while something happens. */
async function throughRouter(happens: () => Promise<void>): Promise<number> {
  const probe = startProbe(it.name, innerClientAddress.v6, { intervalMs: 20, maxSeconds: 60 })
  await probe.answering
  await happens()
  const { answered, longestGapMs } = await probe.stop()
  expect(answered).toBeGreaterThan(0)
  return longestGapMs
}

test('a backup says nothing outside of its HA link, from its start on and for 10 s', async () => {
  const primary = await it.settled()
  const backup = it.other(primary)
  await until('the primary announces its address', () =>
    said(primary, 'ext').includes('neighbour-advertisement 2001:db8:1::1'),
  )
  const addresses = () => it.ip(primary, 'r1', '-6', '-o', 'address', 'show', 'dev', 'int0').match(/.+/g) ?? []
  await until('it has addresses inside', () => addresses().length >= 2)
  // Usable at once: the kernel looks for no duplicate.
  for (const line of addresses()) expect(line).toContain('nodad')
  await until('the primary advertises itself', () => said(primary, 'int').includes('router-advertisement from fe80::1'))
  await staysSilent(backup, 0, 10_000)
})

const rounds = [1, 2, 3]

test.each(rounds.flatMap((round) => Object.entries(losses).map(([how, lose]) => ({ how, round, lose }))))(
  'IPv6 goes through the new primary, and the one before says nothing, after $how (failover $round)',
  async ({ lose }) => {
    const primary = await it.settled()
    const gapMs = await throughRouter(async () => {
      const loser = it.other(await lose(primary))
      const lostAtMs = Date.now() + captureLagMs
      await staysSilent(loser, lostAtMs, 3500)
    })
    expect(gapMs).toBeLessThan(2500)
  },
)

test.each(rounds)('with both agents dead, IPv6 goes through the new primary: LP#1677279 (failover %i)', async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  for (const host of [primary, heir]) await it.lab.killAgent(host)
  const gapMs = await throughRouter(async () => {
    await endKeepalived(primary)
    await until('the other has the marker', () => holdsMarker(heir) && !holdsMarker(primary))
    const lostAtMs = Date.now() + captureLagMs
    await staysSilent(primary, lostAtMs, 3000)
  })
  for (const host of [primary, heir]) it.lab.startAgent(host)
  expect(gapMs).toBeLessThan(2000)
})

test('forwarding that somebody switches off is switched on again, and goes on; the journal tells of it', async () => {
  const primary = await it.settled()
  const before = await it.lastSeq(primary)
  const inNamespace = (...words: string[]) => ip('netns', 'exec', it.namespace(primary), ...words)
  inNamespace('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=0')
  // Settings are looked at each 20 s.
  await until('it is set again', () => inNamespace('sysctl', '-n', 'net.ipv6.conf.all.forwarding') === '1\n', 30_000)
  await throughRouter(() => Promise.resolve())
  const steps = async () =>
    (await it.events(primary, 'r1', before))
      .filter(({ kind, body }) => kind === 'operation' && body['change'] === 'performed')
      .flatMap(({ body }) => body['steps'] as string[])
      // An agent that has just started puts its tables in force once more.
      .filter((step) => step !== 'ensure-table vrrp')
  // What is set is written down once it is done.
  await until('the journal tells of it', async () => (await steps()).length > 0)
  expect(await steps()).toEqual(['ensure-namespace'])
})
