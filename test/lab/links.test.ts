import { afterAll, beforeAll, expect, test } from 'vitest'
import { labFor, troublesOf, type LabUnderTest } from '../support/lab.ts'
import { staysSo } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('links')
})
afterAll(async () => {
  await it.down()
})

test('agent says fault and names the link when the HA link is set down, leaves it down, and backup when it is up', async () => {
  const victim = await it.settled()
  const heir = it.other(victim)
  const after = await it.lastSeq(victim)
  it.ip(victim, 'r1', 'link', 'set', 'ha0', 'down')
  const { cause } = await it.role(victim, 'fault')
  expect(cause).toBe('keepalived says fault: link ha0 is down')
  await it.role(heir, 'primary')
  // Longer than one reconcile pass of the lab (2 s): nobody sets it up behind the operator's back.
  await staysSo('ha0 stays down', () => it.ip(victim, 'r1', 'link', 'show', 'ha0').includes('state DOWN'), 2500)
  expect((await it.router(victim)).role).toBe('fault')
  it.ip(victim, 'r1', 'link', 'set', 'ha0', 'up')
  await it.role(victim, 'backup')
  expect(await it.settled()).toBe(heir)
  const transitions = await it.transitions(victim, 'r1', after)
  expect(transitions.at(0)).toMatch(/^primary -> /)
  expect(transitions.at(-1)).toBe('fault -> backup')
})

test('an interface that is not tracked is no fault when it goes down (no_track)', async () => {
  const primary = await it.settled()
  const backup = it.other(primary)
  const after = await it.lastSeq(primary)
  it.ip(primary, 'r1', 'link', 'set', 'ext0', 'down')
  it.ip(backup, 'r1', 'link', 'set', 'ext0', 'down')
  try {
    await staysSo(
      'roles stay with ext0 down',
      async () => (await it.router(primary)).role === 'primary' && (await it.router(backup)).role === 'backup',
      2000,
    )
    // IPv6 addresses go with the link (ip-sysctl, keep_addr_on_down): shown, and no reason to move the role.
    expect(troublesOf(await it.router(primary))).toEqual(['virtual-address-missing'])
  } finally {
    it.ip(primary, 'r1', 'link', 'set', 'ext0', 'up')
    it.ip(backup, 'r1', 'link', 'set', 'ext0', 'up')
  }
  expect(await it.transitions(primary, 'r1', after)).toEqual([])
})

test('both sides show primary, as their kernels do, while the HA link is cut, and heal to one', async () => {
  const first = await it.settled()
  const second = it.other(first)
  it.lab.cut(second)
  await it.role(second, 'primary')
  expect((await it.router(first)).role).toBe('primary')
  expect(it.addresses(first, 'ha0')).toContain('169.254.0.1/24')
  expect(it.addresses(second, 'ha0')).toContain('169.254.0.1/24')
  it.lab.heal()
  const left = await it.settled()
  const gone = it.other(left)
  expect(it.addresses(left, 'ha0')).toContain('169.254.0.1/24')
  expect(it.addresses(gone, 'ha0')).not.toContain('169.254.0.1/24')
  await it.noCondition(gone)
  for (const host of ['h1', 'h2']) expect(await it.verify(host)).toMatchObject({ ok: true })
})
