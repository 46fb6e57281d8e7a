import { afterAll, beforeAll, expect, test } from 'vitest'
import { namespaceInode } from '../../src/linux/netns.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
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
  const inode = namespaceInode(name)
  const pids = it.lab.keepalivedPids(victim, 'r1')
  const after = await it.lastSeq(victim)
  ip('netns', 'delete', name)
  await signalAll(pids, 'SIGKILL')
  await it.role(heir, 'primary')
  await it.role(victim, 'backup')
  await it.noCondition(victim)
  expect(namespaceInode(name)).not.toBe(inode)
  expect(it.lab.keepalivedPids(victim, 'r1')).toHaveLength(2)
  expect(await it.transitions(victim, 'r1', after)).toEqual(['primary -> unknown', 'unknown -> backup'])
  // It really takes part: it takes over when the other one goes.
  await it.lab.killHost(heir)
  await it.role(victim, 'primary')
  it.lab.startHost(heir)
  expect(await it.settled()).toBe(victim)
})
