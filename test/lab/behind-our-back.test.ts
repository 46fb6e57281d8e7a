import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { markOf, outerName } from '../../src/host/mark.ts'
import { agentIdOf } from '../../src/lab/topology.ts'
import { namespaceInode } from '../../src/linux/netns.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { id } from '../support/router.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('behind')
})
afterAll(async () => {
  await it.down()
})

test('a virtual address that somebody removes is shown as missing', async () => {
  const primary = await it.settled()
  it.ip(primary, 'r1', 'address', 'delete', '198.51.100.1/24', 'dev', 'ext0')
  expect(await it.condition(primary, 'virtual-address-missing')).toBe('198.51.100.1/24 missing from ext0')
  expect((await it.router(primary)).role).toBe('primary')
  it.ip(primary, 'r1', 'address', 'add', '198.51.100.1/24', 'dev', 'ext0')
  await it.noCondition(primary)
})

test('a virtual address that somebody adds on a backup is shown as left over', async () => {
  const backup = it.other(await it.settled())
  it.ip(backup, 'r1', 'address', 'add', '198.51.100.1/24', 'dev', 'ext0')
  expect(await it.condition(backup, 'virtual-address-leftover')).toBe('198.51.100.1/24 still on ext0')
  expect((await it.router(backup)).role).toBe('backup')
  it.ip(backup, 'r1', 'address', 'delete', '198.51.100.1/24', 'dev', 'ext0')
  await it.noCondition(backup)
})

test('a marker that somebody adds on a backup is shown as what the kernel says: primary, and kernel-disagrees', async () => {
  const backup = it.other(await it.settled())
  it.ip(backup, 'r1', 'address', 'add', '169.254.0.1/24', 'dev', 'ha0')
  expect((await it.role(backup, 'primary')).cause).toBe('marker 169.254.0.1/24 is on ha0')
  expect(await it.condition(backup, 'kernel-disagrees')).toBe('keepalived says backup, but 169.254.0.1/24 is on ha0')
  it.ip(backup, 'r1', 'address', 'delete', '169.254.0.1/24', 'dev', 'ha0')
  await it.role(backup, 'backup')
  await it.noCondition(backup)
})

test('an HA interface that somebody removes is made again, and keepalived hears and takes over on it', async () => {
  for (const host of ['h1', 'h2']) {
    it.ip(host, 'r1', 'link', 'delete', 'ha0')
    await until('ha0 is there again', () => it.ip(host, 'r1', '-o', 'link').includes(' ha0@'))
    await it.settled()
    await it.noCondition(host)
  }
  // keepalived 2.2.7 alone would be deaf on it, and no host would ever take over again.
  for (const round of [1, 2]) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(it.other(primary), 'primary')
    expect(await it.settled(), `round ${String(round)}`).toBe(it.other(primary))
  }
})

test.each(['removes', 'makes anew'])(
  'an HA interface that somebody %s while no agent runs leaves keepalived deaf; the next agent has it hear, and it takes over',
  async (does) => {
    const primary = await it.settled()
    const backup = it.other(primary)
    const pids = it.lab.keepalivedPids(backup, 'r1')
    const [address] = it.addresses(backup, 'ha0')
    await it.lab.killAgent(backup)
    it.ip(backup, 'r1', 'link', 'delete', 'ha0')
    if (does === 'makes anew') makeHaInterface(backup, address ?? '')
    await until('keepalived has closed its sockets', () => vrrpSockets(backup) === 0)
    it.lab.startAgent(backup)
    await until('keepalived has sockets again', () => vrrpSockets(backup) > 0)
    await it.settled()
    await it.noCondition(backup)
    expect(it.lab.keepalivedPids(backup, 'r1')).toEqual(pids)
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(backup, 'primary')
    expect(await it.settled()).toBe(backup)
  },
)

test('a marker that somebody removes from the primary is put back by keepalived, and both changes are recorded', async () => {
  const primary = await it.settled()
  const after = await it.lastSeq(primary)
  it.ip(primary, 'r1', 'address', 'delete', '169.254.0.1/24', 'dev', 'ha0')
  await until('both changes are recorded', async () => (await it.transitions(primary, 'r1', after)).length >= 2)
  expect(await it.transitions(primary, 'r1', after)).toEqual(['primary -> backup', 'backup -> primary'])
  expect(await it.settled()).toBe(primary)
  await it.noCondition(primary)
})

test('a namespace that loses its name while keepalived lives in it is given it back, and no address moves', async () => {
  const primary = await it.settled()
  const name = it.namespace(primary)
  const inode = namespaceInode(name)
  const pids = it.lab.keepalivedPids(primary, 'r1')
  const after = await it.lastSeq(primary)
  using watch = it.watch(name)
  ip('netns', 'delete', name)
  await until('the namespace has its name again', () => namespaceInode(name) === inode)
  await it.noCondition(primary)
  expect(await it.settled()).toBe(primary)
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
  expect(watch.seen).toEqual([])
  expect(await it.transitions(primary, 'r1', after)).toEqual([])
})

test('a namespace that is really gone, keepalived with it, is made again and takes part', async () => {
  const victim = await it.settled()
  const heir = it.other(victim)
  const name = it.namespace(victim)
  // The kernel gives the number of a namespace that is gone to the next one: what is in it tells them apart.
  it.ip(victim, 'r1', 'link', 'add', 'kwtold', 'type', 'bridge')
  const pids = it.lab.keepalivedPids(victim, 'r1')
  const after = await it.lastSeq(victim)
  // The agent would give the name back as long as a keepalived lives.
  const agent = it.lab.agentPid(victim)
  process.kill(agent, 'SIGSTOP')
  try {
    ip('netns', 'delete', name)
    await signalAll(pids, 'SIGKILL')
  } finally {
    process.kill(agent, 'SIGCONT')
  }
  await it.role(heir, 'primary')
  await it.role(victim, 'backup')
  await it.noCondition(victim)
  expect(it.ip(victim, 'r1', 'link', 'show')).not.toContain('kwtold')
  expect(it.lab.keepalivedPids(victim, 'r1')).toHaveLength(2)
  // Of the end of the address and that of keepalived either may be seen first.
  const seen = (await it.transitions(victim, 'r1', after)).join(', ')
  expect(seen).toMatch(/^primary -> (?:backup, backup -> )?unknown, unknown -> backup$/)
  // It really takes part: it takes over when the other one goes.
  await it.lab.killHost(heir)
  await it.role(victim, 'primary')
  it.lab.startHost(heir)
  expect(await it.settled()).toBe(victim)
})

/** As the agent makes it: a veth pair that bears its mark, the outer end a port of the host's bridge. */
function makeHaInterface(host: string, address: string): void {
  const [agent, outside] = [agentIdOf(it.name, host), it.lab.host(host).namespace]
  const [outer, mark] = [outerName(agent, id('r1'), 'ha0'), markOf(agent, id('r1'))]
  ip('-n', outside, 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'ha0', 'netns', it.namespace(host))
  ip('-n', outside, 'link', 'set', outer, 'alias', mark, 'master', 'br-ha', 'up')
  it.ip(host, 'r1', 'address', 'add', address, 'dev', 'ha0')
  it.ip(host, 'r1', 'link', 'set', 'ha0', 'alias', mark, 'up')
}

/** How many sockets of IP protocol 112 there are in the router's namespace. */
function vrrpSockets(host: string): number {
  const [pid] = it.lab.keepalivedPids(host, 'r1')
  const sockets = readFileSync(`/proc/${String(pid)}/net/raw`, 'utf8')
  return sockets.split('\n').filter((line) => line.includes(':0070 ')).length
}
