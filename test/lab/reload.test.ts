import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { offersHmac, probeFeatures } from '../../src/keepalived/features.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { labFor, troublesOf, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

const both = ['h1', 'h2'] as const
let it: LabUnderTest
let primary: string
let backup: string
let transitions: Readonly<Record<string, readonly string[]>>

beforeAll(async () => {
  it = await labFor('reload')
})
beforeEach(async () => {
  primary = await it.settled()
  backup = it.other(primary)
  transitions = await allTransitions()
})
afterAll(async () => {
  await it.down()
})

const addressLine = '      - { address: 198.51.100.1/24, interface: ext0 }\n'
const moreAddresses = `${addressLine}      - { address: 198.51.100.77/24, interface: ext0 }\n`

test('addresses changed on one host only move no role on any host (excluded addresses, one marker)', async () => {
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  it.editConfig(primary, (text) => text.replace(addressLine, moreAddresses))
  await it.apply(primary)
  await until('the new address is there', () => it.addresses(primary, 'ext0').includes('198.51.100.77/24'))
  // Ten adverts: the peer has had its time to take offence.
  await staysSo('roles stay', rolesStay, 2000)
  it.editConfig(primary, (text) => text.replace(moreAddresses, addressLine))
  await it.apply(primary)
  await until('the new address is gone', () => !it.addresses(primary, 'ext0').includes('198.51.100.77/24'))
  await staysSo('roles stay', rolesStay, 1000)
  await it.noCondition(primary)
  expect(watch.seen).toEqual([`${it.namespace(primary)} +198.51.100.77`, `${it.namespace(primary)} -198.51.100.77`])
  expect(await allTransitions()).toEqual(transitions)
})

test('a backup takes new addresses over and adds none of them', async () => {
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  it.editConfig(backup, (text) => text.replace(addressLine, moreAddresses))
  await it.apply(backup)
  await isLoaded(backup)
  it.editConfig(backup, (text) => text.replace(moreAddresses, addressLine))
  await it.apply(backup)
  await isLoaded(backup)
  await staysSo('roles stay', rolesStay, 500)
  expect(watch.seen).toEqual([])
  expect(await allTransitions()).toEqual(transitions)
})

test('SIGHUP and apply of a config that means the same reload nothing', async () => {
  const pids = both.map((host) => it.lab.keepalivedPids(host, 'r1'))
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  const loads = await countLoads(primary)
  it.editConfig(primary, (text) => `# a comment\n${text}`)
  await signalAll([it.lab.agentPid(primary)], 'SIGHUP')
  await until('the config is loaded again', async () => (await countLoads(primary)) === loads + 1)
  await isLoaded(primary)
  expect(it.log(primary)).not.toContain('defect')
  expect(watch.seen).toEqual([])
  expect(both.map((host) => it.lab.keepalivedPids(host, 'r1'))).toEqual(pids)
  expect(await allTransitions()).toEqual(transitions)
})

test('a changed priority is reloaded without moving the role (nopreempt), the marker stays', async () => {
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  it.editConfig(primary, (text) => text.replace(/priority: \d+/, 'priority: 60'))
  await it.apply(primary)
  await until('keepalived says its new priority', async () => {
    const { evidence } = await it.explain(primary)
    return evidence.some(({ what, found }) => what === 'keepalived: says' && found === 'primary, priority 60')
  })
  await staysSo('roles stay', rolesStay, 1000)
  expect(watch.seen).toEqual([])
  expect(await allTransitions()).toEqual(transitions)
})

test('a broken config file changes nothing, shows, and is forgotten once mended', async () => {
  it.editConfig(primary, (text) => text.replace('vrid: 1', 'vrid: 1000'))
  await expect(it.apply(primary)).rejects.toThrow('vrid')
  expect((await it.status(primary)).conditions.map(({ code }) => code)).toEqual([
    'config-not-applied',
    'config-changed-on-disk',
  ])
  it.editConfig(primary, (text) => text.replace('vrid: 1000', 'vrid: 1'))
  await it.apply(primary)
  await until('the condition is gone', async () => (await it.status(primary)).conditions.length === 0)
  expect(await allTransitions()).toEqual(transitions)
})

test('hmac is refused with a hint where keepalived has none, and the router runs on with the config before', async (t) => {
  if (offersHmac(await probeFeatures())) t.skip('this keepalived has it')
  const pids = it.lab.keepalivedPids(primary, 'r1')
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  const hmac = '    authentication: { hmac: { keys: [{ id: 1, file: /etc/keepward/secrets/r1 }], activeKey: 1 } }\n'
  const interfaces = '    interfaces:\n'
  it.editConfig(primary, (text) => text.replace(interfaces, `${hmac}${interfaces}`))
  await it.apply(primary)
  const text = await it.condition(primary, 'config-refused')
  expect(text).toMatch(
    /keepalived is version \d+\.\d+\.\d+.*, and hmac needs 2\.4\.3 or newer.* \(install keepalived 2\.4\.3/,
  )
  await staysSo('roles stay', rolesStay, 1000)
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
  expect(troublesOf(await it.router(primary))).toEqual(['config-refused'])
  it.editConfig(primary, (text) => text.replace(hmac, ''))
  await it.apply(primary)
  await it.noCondition(primary)
  expect(watch.seen).toEqual([])
  expect(await allTransitions()).toEqual(transitions)
})

test('a config that keepalived refuses leaves the running one alone, and its words are shown', async () => {
  const pids = it.lab.keepalivedPids(primary, 'r1')
  using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
  const existing =
    '      - { name: absent0, attach: existing }\n    virtualAddresses:\n      - { address: 192.0.2.1/24, interface: absent0 }\n'
  it.editConfig(primary, (text) => text.replace('    virtualAddresses:\n', existing))
  await it.apply(primary)
  expect(await it.condition(primary, 'config-refused')).toContain('absent0')
  expect(await it.condition(primary, 'interface-missing')).toContain('absent0')
  await staysSo('roles stay', rolesStay, 1000)
  // Beside one that tests the config again.
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(expect.arrayContaining(pids))
  it.editConfig(primary, (text) => text.replace(existing, '    virtualAddresses:\n'))
  await it.apply(primary)
  await it.noCondition(primary)
  expect(watch.seen).toEqual([])
  expect(await allTransitions()).toEqual(transitions)
})

async function allTransitions(): Promise<Record<string, string[]>> {
  const [h1, h2] = await Promise.all([it.transitions('h1'), it.transitions('h2')])
  return { h1, h2 }
}

async function rolesStay(): Promise<boolean> {
  const [one, two] = await Promise.all([it.router(primary), it.router(backup)])
  return one.role === 'primary' && two.role === 'backup'
}

async function countLoads(host: string): Promise<number> {
  return (await it.events(host)).filter(({ kind, body }) => kind === 'config' && body['change'] === 'loaded').length
}

/** What is wanted, written and loaded is the same. */
async function isLoaded(host: string): Promise<void> {
  await until('the wanted config is written and loaded', async () => {
    const found = (await it.explain(host)).evidence.find(({ what }) => what === 'config')?.found ?? ''
    const [, wanted, written, loaded] = /^wanted (\w+), written (\w+), loaded (\w+)$/.exec(found) ?? []
    return wanted !== undefined && wanted === written && wanted === loaded
  })
}
