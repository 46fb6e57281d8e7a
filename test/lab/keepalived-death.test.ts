import { afterAll, beforeAll, expect, test } from 'vitest'
import { processStat } from '../../src/linux/process.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('death')
})
afterAll(async () => {
  await it.down()
})

test('agent starts keepalived again within 1 s, addresses cleared, when both its processes die silently', async () => {
  const victim = await it.settled()
  const heir = it.other(victim)
  const [before = 0] = it.lab.keepalivedPids(victim, 'r1')
  const after = await it.lastSeq(victim)
  const killedMs = Date.now()
  using watch = it.watch(it.namespace(victim))
  await it.lab.killKeepalived(victim, 'r1')

  const startedMs = await until('another keepalived runs', () => {
    const found = it.lab.keepalivedPids(victim, 'r1')
    return found.length === 2 && found[0] !== before && Date.now()
  })
  expect(startedMs - killedMs).toBeLessThan(1000)
  await it.role(heir, 'primary')
  await it.role(victim, 'backup')
  await it.noCondition(victim)

  expect(watch.seen).toContain(`${it.namespace(victim)} -169.254.0.1`)
  expect(it.addresses(victim, 'ha0')).not.toContain('169.254.0.1/24')
  expect(it.addresses(victim, 'ext0')).toEqual([])
  expect(it.addresses(heir, 'ext0')).toEqual(['198.51.100.1/24', '2001:db8:1::1/64'])
  const conditions = await it.conditions(victim, 'r1', after)
  for (const code of ['address-without-keepalived', 'keepalived-restarting']) {
    expect(conditions).toContain(`raised ${code}`)
    expect(conditions).toContain(`cleared ${code}`)
  }
  expect(await it.transitions(victim, 'r1', after)).toEqual(['primary -> unknown', 'unknown -> backup'])
  expect(await it.verify(victim)).toMatchObject({ ok: true })
})

test('keepalived replaces its VRRP child when that alone dies, and the journal tells of it', async () => {
  const victim = await it.settled()
  const [parent = 0, child = 0] = it.lab.keepalivedPids(victim, 'r1')
  const after = await it.lastSeq(victim)
  await it.lab.killKeepalived(victim, 'r1', 'child')
  const pids = await until('another child runs', () => {
    const found = it.lab.keepalivedPids(victim, 'r1')
    return found.length === 2 && !found.includes(child) && found
  })
  expect(pids[0]).toBe(parent)
  await until('the journal tells that it is over', async () => {
    return (await it.conditions(victim, 'r1', after)).includes('cleared keepalived-restarting')
  })
  await it.settled()
  await it.noCondition(victim)
  expect(await it.conditions(victim, 'r1', after)).toEqual([
    'raised keepalived-restarting',
    'cleared keepalived-restarting',
  ])
})

test('agent shows keepalived-stalled and kills nothing when keepalived is stopped, until it goes on', async () => {
  const stopped = await it.settled()
  const heir = it.other(stopped)
  const pids = it.lab.keepalivedPids(stopped, 'r1')
  await signalAll(pids, 'SIGSTOP')
  try {
    await it.role(heir, 'primary')
    const text = await it.condition(stopped, 'keepalived-stalled')
    expect(text).toBe(`keepalived ${String(pids[0])} is stopped (state T)`)
    // What each kernel says: the stopped one still holds the address.
    expect((await it.router(stopped)).role).toBe('primary')
    expect(it.addresses(stopped, 'ha0')).toContain('169.254.0.1/24')
    expect(it.addresses(heir, 'ha0')).toContain('169.254.0.1/24')
    expect(pids.map((pid) => processStat(pid)?.state)).toEqual(['T', 'T'])
  } finally {
    await signalAll(pids, 'SIGCONT')
  }
  await it.settled()
  await it.noCondition(stopped)
  await it.noCondition(heir)
  expect(it.lab.keepalivedPids(stopped, 'r1')).toEqual(pids)
})
