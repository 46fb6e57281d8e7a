import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProbe } from '../../src/lab/probe.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

const marker = 'fe80::5652:1'
let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('six', {
    config: (text) =>
      text
        .replaceAll(/169\.254\.(\d+)\.1\b/g, 'fe80::a:$1')
        .replaceAll(/fe80::a:(\d+)\/18/g, '"fe80::a:$1/64"')
        .replaceAll(/(source: |peers: \[)(fe80::a:\d+)/g, '$1"$2"')
        .replace(/ {6}- \{ address: 198\.51\.100\.1.*\n/, ''),
  })
})
afterAll(async () => {
  await it.down()
})

test('a router with IPv6 only elects one primary by a link-local marker, and its address answers', async () => {
  const primary = await it.settled()
  // Five adverts: the other hears them, and does not become primary too.
  await staysSo('there is one primary', () => holdsMarker(primary) && !holdsMarker(it.other(primary)), 1000)
  expect(it.addresses(primary, 'ext0')).toEqual(['2001:db8:1::1/64'])
  expect(it.addresses(it.other(primary), 'ext0')).toEqual([])
  expect((await it.router(primary)).cause).toBe(`marker ${marker}/64 is on ha0`)
})

test('a router with IPv6 only fails over, and both kernels tell the truth about it', async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  const probe = startProbe(it.name, '2001:db8:1::1', { intervalMs: 20, maxSeconds: 30 })
  await probe.answering
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(heir, 'primary')
  await it.role(primary, 'backup')
  await until('the marker has moved', () => holdsMarker(heir) && !holdsMarker(primary))
  await it.noCondition(primary)
  await it.noCondition(heir)
  await staysSo('the new primary keeps its role', async () => (await it.router(heir)).role === 'primary', 500)
  expect((await probe.stop()).longestGapMs).toBeLessThan(3000)
})

test('a router with IPv6 only heals to one primary, and stays so, after both were primary', async () => {
  const first = await it.settled()
  const second = it.other(first)
  it.lab.cut(second)
  await it.role(second, 'primary')
  it.lab.heal()
  const left = await it.settled()
  await staysSo('there is one primary', () => holdsMarker(left) && !holdsMarker(it.other(left)), 1000)
})

const holdsMarker = (host: string): boolean => it.ip(host, 'r1', '-6', 'address', 'show', 'dev', 'ha0').includes(marker)
