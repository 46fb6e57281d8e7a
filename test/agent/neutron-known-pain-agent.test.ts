import { expect, test } from 'vitest'
import { Reporter } from '../../src/report/reporter.ts'
import { TestAgent } from '../support/agent.ts'
import { heartbeat } from '../support/far-end.ts'
import { routerOf } from '../support/neutron-sink.ts'
import { Neutron, windowMs } from '../support/neutron-table.ts'
import { id, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

/*
 * As test/agent/neutron-known-pain.test.ts, from the kernel on: a whole agent, whose kernel is a small world, and what its journal has is told
 * to Neutron.
 */

const [one, two] = [routerOf(1), routerOf(2)]
const watched = routerSpec({ id: id(one) })

const telling = (test: TestAgent, neutron: Neutron): Promise<Reporter> =>
  Reporter.start({
    ...{ journal: test.journal, sink: neutron.sink(), name: 'neutron', delivery: 'latest', repeatMs: 60_000 },
    routers: () => new Set([one, two]),
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })

test('item 3 (LP#1818614): what the kernel has before anybody listens is told', async () => {
  const neutron = new Neutron()
  const first = await TestAgent.start({ routers: [watched] })
  await first.role('backup', one)
  await using agent = await first.restart({ routers: [watched] }, () => {
    first.world.host.elect(watched.id, 'primary')
  })
  await using reporter = await telling(agent, neutron)
  await until('Neutron knows', () => neutron.table.get(one) === 'active')
  expect(reporter.status.refused.size).toBe(0)
})

test('item 4 (LP#1916022): a start tells what was seen last, and guesses nothing of what it has not seen', async () => {
  const neutron = new Neutron()
  const first = await TestAgent.start({ routers: [watched] })
  await first.role('backup', one)
  first.world.host.elect(watched.id, 'primary')
  await first.role('primary', one)
  first.world.lets = () => false
  await using agent = await first.restart({ routers: [watched] }, () => {
    first.world.host.elect(watched.id, 'backup')
  })
  await using reporter = await telling(agent, neutron)
  await until('Neutron has what was seen last', () => neutron.table.get(one) === 'active')
  await staysSo('nothing new is told', () => neutron.toldOf(one).length === 1, 300)
  expect(agent.router(one).role).toBe('unknown')
  agent.world.lets = () => true
  await until('Neutron knows', () => neutron.table.get(one) === 'standby')
  expect(neutron.toldOf(one)).toEqual(['active', 'standby'])
  expect(reporter.status.refused.size).toBe(0)
})

test('item 6 (LP#1923633): of quick changes none is lost to the journal, and the last one is what Neutron has', async () => {
  const neutron = new Neutron()
  await using agent = await TestAgent.start({ routers: [watched] })
  await using reporter = await telling(agent, neutron)
  await agent.role('backup', one)
  for (const role of ['primary', 'backup', 'primary'] as const) {
    agent.world.host.elect(watched.id, role)
    await agent.role(role, one)
  }
  expect(await agent.transitions(one)).toEqual([
    'unknown -> backup',
    'backup -> primary',
    'primary -> backup',
    'backup -> primary',
  ])
  await until('Neutron knows', () => neutron.table.get(one) === 'active')
  expect(reporter.status.refused.size).toBe(0)
})

test('item 5 (LP#1917793): a kernel that takes long to show one router at the start holds up no other, and is not taken for a backup', async () => {
  const neutron = new Neutron()
  const slow = routerSpec({ id: id(one), vrid: 1 })
  const other = routerSpec({ id: id(two), vrid: 2 })
  const routers = [slow, other]
  const first = await TestAgent.start({ routers })
  for (const router of [one, two]) await first.role('backup', router)
  for (const { id: router } of routers) first.world.host.elect(router, 'primary')
  for (const router of [one, two]) await first.role('primary', router)
  first.world.host.elect(other.id, 'backup')
  await first.role('backup', two)
  first.world.lets = (router) => router !== slow.id
  await using agent = await first.restart({ routers }, () => {
    first.world.host.elect(other.id, 'primary')
  })
  await using reporter = await telling(agent, neutron)
  await until('Neutron knows the other', () => neutron.table.get(two) === 'active')
  expect(agent.router(one).role).toBe('unknown')
  expect(neutron.toldOf(one)).not.toContain('standby')
  agent.world.lets = () => true
  await until('Neutron knows both', () => neutron.table.get(one) === 'active')
  expect(neutron.toldOf(one)).not.toContain('standby')
  expect(reporter.status.refused.size).toBe(0)
})

test.each([
  [['primary', 'backup'], 'standby'],
  [['primary', 'backup', 'primary'], 'active'],
] as const)('item 6 (LP#1923633): of a burst of %j none is lost, and Neutron ends with %s', async (roles, last) => {
  const neutron = new Neutron()
  await using agent = await TestAgent.start({ routers: [watched] })
  await using reporter = await telling(agent, neutron)
  await agent.role('backup', one)
  await until('Neutron knows', () => neutron.table.get(one) === 'standby')
  const before = (await agent.transitions(one)).length
  for (const role of roles) agent.world.host.elect(watched.id, role)
  await until('all are recorded', async () => (await agent.transitions(one)).length === before + roles.length)
  await until('Neutron knows the last', () => neutron.table.get(one) === last && reporter.status.waiting === 0)
  await staysSo('it stands', () => neutron.table.get(one) === last, windowMs * 1.5)
  // What came and went within the window is nothing that Neutron needs.
  expect(neutron.toldOf(one)).toEqual(last === 'active' ? ['standby', 'active'] : ['standby'])
})

test('item 36: a message that fails makes nobody deaf: the change is told later, and so is the next', async () => {
  const neutron = new Neutron()
  await using agent = await TestAgent.start({ routers: [watched] })
  let failures = 0
  neutron.before = () => {
    failures += 1
    return failures <= 2 ? Promise.reject(new Error('Connection refused')) : Promise.resolve()
  }
  await using reporter = await telling(agent, neutron)
  await agent.role('backup', one)
  await until('Neutron knows', () => neutron.table.get(one) === 'standby')
  expect(failures).toBe(3)
  agent.world.host.elect(watched.id, 'primary')
  await until('Neutron knows the next', () => neutron.table.get(one) === 'active')
  expect(reporter.status.refused.size).toBe(0)
})
