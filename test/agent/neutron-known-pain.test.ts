import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Reporter } from '../../src/report/reporter.ts'
import { heartbeat } from '../support/far-end.ts'
import { testJournal, transition } from '../support/journal.ts'
import { routerOf } from '../support/neutron-sink.ts'
import { mark, Neutron, windowMs } from '../support/neutron-table.ts'
import { staysSo, until } from '../support/until.ts'

/*
 * What is known to go wrong between Neutron's L3 agent and its server (neutron.md 9), by its number there: the journal and the reporter are
 * real, the window and the words are the sink's, and the server is a table that keeps what it was told last, as Neutron's does. The same over a
 * real broker: test/interop/neutron-server.test.ts.
 */

async function agentOf(neutron: Neutron, repeatMs = 60_000) {
  const store = testJournal()
  const journal = await store.open()
  const routers = new Set<string>()
  const reporter = await Reporter.start({
    ...{ journal, sink: neutron.sink(), name: 'neutron', delivery: 'latest', repeatMs },
    routers: () => routers,
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })
  return {
    reporter,
    /** The kernel shows this role. */
    async becomes(router: string, to: string) {
      routers.add(router)
      await journal.append(transition(router, { from: 'unknown', to })).durable
    },
    /** All that has happened until now is told, or is not going to be. */
    async settled() {
      const before = neutron.marks
      await journal.append(transition(mark, { from: 'unknown', to: before % 2 === 0 ? 'backup' : 'unknown' })).durable
      await until('all is read', () => neutron.marks > before)
      await until('nothing waits', () => reporter.status.waiting === 0)
    },
    async [Symbol.asyncDispose]() {
      await reporter[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

const backups = [1, 2, 3, 4].map(routerOf)
const [one = '', two = '', three = ''] = backups

/** An agent all of whose routers Neutron knows as standby. */
async function standing(neutron: Neutron) {
  const agent = await agentOf(neutron)
  for (const router of backups) await agent.becomes(router, 'backup')
  await agent.settled()
  expect(neutron.table.size).toBe(backups.length)
  neutron.told.length = 0
  return agent
}

test('item 7 (LP#1837635, LP#2083609): a brief P to B of all backups at a failover makes none of them active', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  for (const router of backups) await agent.becomes(router, 'primary')
  for (const router of backups) await agent.becomes(router, 'backup')
  await agent.settled()
  expect(neutron.told).toEqual([])
  // And it is no matter which was the first since the agent started: the exception for it brought the symptom back.
  await using restarted = await agentOf(neutron)
  await restarted.becomes(one, 'primary')
  await restarted.becomes(one, 'backup')
  await restarted.settled()
  expect(neutron.toldOf(one)).not.toContain('active')
})

test('item 8 (LP#1945512): a primary is told one window after its first change, with no batch and no second window on top', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  const beganMs = performance.now()
  await agent.becomes(one, 'primary')
  await wait(windowMs / 2)
  await agent.becomes(one, 'backup')
  await agent.becomes(one, 'primary')
  await until('it is told', () => neutron.table.get(one) === 'active')
  const [told, ...more] = neutron.told
  expect(more).toEqual([])
  const afterMs = (told?.atMs ?? 0) - beganMs
  expect(afterMs).toBeGreaterThanOrEqual(windowMs - 1)
  expect(afterMs).toBeLessThan(windowMs * 1.5)
  // What is lost does not wait at all.
  const lostMs = performance.now()
  await agent.becomes(one, 'fault')
  await until('it is told', () => neutron.table.get(one) === 'standby')
  expect((neutron.told.at(-1)?.atMs ?? 0) - lostMs).toBeLessThan(windowMs / 2)
})

test('item 9 (LP#1612069): a server that was away hears how it is, and not how it came about', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  neutron.away()
  for (let round = 0; round < 50; round++) await agent.becomes(one, round % 2 === 0 ? 'primary' : 'backup')
  await agent.becomes(one, 'primary')
  neutron.back()
  await until('it is current', () => neutron.table.get(one) === 'active')
  // Of 51 changes the last, and the one that was the newest when it was back, where the journal was not read to its end by then.
  expect(neutron.toldOf(one).length).toBeLessThanOrEqual(2)
})

test('item 10 (LP#1824911): a router whose message takes long, or never ends, holds up no other', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  const { promise, resolve } = Promise.withResolvers<undefined>()
  neutron.before = ({ router }) => (router === one ? promise : Promise.resolve())
  await agent.becomes(one, 'unknown')
  await until('its message is under way', () => neutron.told.length === 1)
  for (const router of [two, three]) await agent.becomes(router, 'unknown')
  await until('the others are told', () => [two, three].every((router) => neutron.table.get(router) === 'unknown'))
  expect(neutron.table.get(one)).toBe('standby')
  resolve(undefined)
})

test('item 11 (LP#1648242): what a broker or a server lost is told again, when it is back and on a timer', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  neutron.away()
  neutron.table.clear()
  neutron.back()
  await until('all is told again', () => neutron.table.size === backups.length)
  await agent.settled()
  await using often = await agentOf(neutron, 300)
  await often.becomes(one, 'primary')
  await until('it is told', () => neutron.table.get(one) === 'active')
  // Nobody notices, and nothing changes on the host.
  neutron.table.clear()
  await until('it is told again', () => neutron.table.get(one) === 'active')
})

test('item 39: one invalid state or id loses itself alone, and is said', async () => {
  const neutron = new Neutron()
  await using agent = await agentOf(neutron)
  await Promise.all([
    agent.becomes(one, 'backup'),
    agent.becomes('r1', 'backup'),
    agent.becomes(two, 'a-word-of-tomorrow'),
    agent.becomes(three, 'backup'),
  ])
  await agent.settled()
  expect([...neutron.table]).toEqual([
    [one, 'standby'],
    [three, 'standby'],
  ])
  expect([...agent.reporter.status.refused.keys()].sort()).toEqual([two, 'r1'])
  expect(agent.reporter.status.refused.get('r1')).toContain('its id is no UUID')
  // The bad word is no trap: the router is told again with its next state.
  await agent.becomes(two, 'backup')
  await until('it is told', () => neutron.table.get(two) === 'standby')
})

test('item 40: the newest state is the last that a server writes, however long each takes', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  neutron.before = () => wait(Math.random() * 30)
  for (let round = 0; round < 40; round++)
    for (const router of backups) await agent.becomes(router, round % 2 === 0 ? 'unknown' : 'fault')
  await agent.becomes(one, 'unknown')
  await agent.settled()
  expect(backups.map((router) => neutron.table.get(router))).toEqual(['unknown', 'standby', 'standby', 'standby'])
})

test('item 40: what was sent and not confirmed does not count as known', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  // The server has it, and the answer is lost.
  neutron.before = ({ router }) => {
    neutron.table.set(router, 'unknown')
    neutron.before = () => Promise.resolve()
    return Promise.reject(new Error('no answer'))
  }
  await agent.becomes(one, 'unknown')
  await until('it failed', () => agent.reporter.status.failures === 1)
  // Back to what was confirmed last.
  await agent.becomes(one, 'backup')
  await until('it is told', () => neutron.table.get(one) === 'standby')
  await staysSo('it stands', () => neutron.table.get(one) === 'standby', 100)
})

test('item 40: what the server still had of an agent that was killed undoes what the next one tells for a moment only', async () => {
  const neutron = new Neutron()
  neutron.settlesMs = 500
  await using agent = await agentOf(neutron)
  await agent.becomes(one, 'backup')
  await until('it is told', () => neutron.table.get(one) === 'standby')
  // A call of the life before, which is carried out only now.
  neutron.table.set(one, 'active')
  const undoneMs = performance.now()
  await until('it is told once more', () => neutron.table.get(one) === 'standby')
  expect(performance.now() - undoneMs).toBeLessThan(1500)
  expect(neutron.toldOf(one)).toEqual(['standby', 'standby'])
  // Each time that the server is there again, as the answer may be lost that would tell of it.
  neutron.away()
  neutron.back()
  await until('it is told', () => neutron.told.length === 3)
  neutron.table.set(one, 'active')
  await until('it is told once more', () => neutron.table.get(one) === 'standby')
})

test('item 11: what was confirmed before the server was away is told again though it came back to that meanwhile', async () => {
  const neutron = new Neutron()
  await using agent = await standing(neutron)
  neutron.away()
  neutron.table.clear()
  await agent.becomes(one, 'primary')
  await agent.becomes(one, 'backup')
  neutron.back()
  await until('all is told again', () => neutron.table.size === backups.length)
  expect(neutron.table.get(one)).toBe('standby')
})

test('a loss is told at once while its gain is held back, when Neutron may take the router for active', async () => {
  const neutron = new Neutron()
  neutron.table.set(one, 'active')
  await using agent = await agentOf(neutron)
  await agent.becomes(one, 'primary')
  const lostMs = performance.now()
  await agent.becomes(one, 'backup')
  await until('it is told', () => neutron.table.get(one) === 'standby')
  expect((neutron.told[0]?.atMs ?? 0) - lostMs).toBeLessThan(windowMs / 2)
})
