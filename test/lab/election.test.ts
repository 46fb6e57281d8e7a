import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProbe } from '../../src/lab/probe.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('elect', {
    hosts: 3,
    routers: 3,
    config: (text) => text.replaceAll(/^ {4}priority: .*$/gm, '$&\n    preempt: { delay: 0s }'),
  })
})
afterAll(async () => {
  await it.down()
})

test('each router has exactly one primary, the host with the highest priority, and so they are spread', async () => {
  await until('each router is primary on the host that prefers it', async () => {
    const roles = await Promise.all(
      ['h1', 'h2', 'h3'].map(async (host) => (await it.status(host)).routers.map(({ role }) => role)),
    )
    return (
      JSON.stringify(roles) ===
      JSON.stringify([
        ['primary', 'backup', 'backup'],
        ['backup', 'primary', 'backup'],
        ['backup', 'backup', 'primary'],
      ])
    )
  })
  for (const [host, own] of [
    ['h1', 1],
    ['h2', 2],
    ['h3', 3],
  ] as const) {
    for (const n of [1, 2, 3]) {
      const marker = it.addresses(host, 'ha0', `r${String(n)}`).includes(`169.254.0.${String(n)}/24`)
      expect(marker).toBe(n === own)
    }
  }
})

test('addresses of both families move together when the host of the primary dies, and a client sees both', async () => {
  const victim = await it.settled('r1')
  const probes = ['198.51.100.1', '2001:db8:1::1'].map((address) =>
    startProbe(it.name, address, { intervalMs: 20, maxSeconds: 30 }),
  )
  await Promise.all(probes.map(({ answering }) => answering))
  await it.lab.killHost(victim)
  const living = it.lab.hosts.map(({ name }) => name).filter((host) => host !== victim)
  const heir = await until('a living host is primary of r1', async () => {
    for (const host of living) if ((await it.router(host)).role === 'primary') return host
    return undefined
  })
  const diedMs = Date.now()
  expect(it.addresses(heir, 'ext0')).toEqual(['198.51.100.1/24', '2001:db8:1::1/64'])
  await until('both addresses answer again', async () => (await answersSince(it, diedMs)) === 2)
  const results = await Promise.all(probes.map((probe) => probe.stop()))
  for (const { answered, longestGapMs } of results) {
    expect(answered).toBeGreaterThan(0)
    // Three adverts of 200 ms and a skew are what keepalived needs; the rest is room for a busy machine.
    expect(longestGapMs).toBeLessThan(3000)
  }
  it.lab.startHost(victim)
  await it.settled('r1')
})

/** How many of the two addresses of r1 answer one ping each from the client now. */
async function answersSince(lab: LabUnderTest, sinceMs: number): Promise<number> {
  const probes = ['198.51.100.1', '2001:db8:1::1'].map((address) =>
    startProbe(lab.name, address, { intervalMs: 20, maxSeconds: 1 }),
  )
  const first = await Promise.allSettled(probes.map(({ answering }) => answering))
  await Promise.all(probes.map((probe) => probe.stop()))
  return first.filter((one) => one.status === 'fulfilled' && one.value >= sinceMs).length
}
