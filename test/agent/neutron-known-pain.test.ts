import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { smoothing } from '../../src/report/neutron/smoothing.ts'
import { translate } from '../../src/report/neutron/translate.ts'
import type { Report } from '../../src/report/report.ts'
import { Reporter } from '../../src/report/reporter.ts'
import type { Sink, SinkState } from '../../src/report/sink.ts'
import { TestAgent } from '../support/agent.ts'
import { heartbeat, stateOf } from '../support/far-end.ts'
import { testJournal, transition } from '../support/journal.ts'
import { routerOf } from '../support/neutron-sink.ts'
import { id, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

/*
 * What is known to go wrong between Neutron's L3 agent and its server (neutron.md 9), by its number there: the journal and the reporter are
 * real, the window and the words are the sink's, and the server is a table that keeps what it was told last, as Neutron's does. The same over a
 * real broker: test/interop/neutron-server.test.ts.
 */

const windowMs = 400
const mark = routerOf(99)

/** Neutron's `ha_router_agent_port_bindings` of one agent; it outlives each sink. */
class Neutron {
  readonly table = new Map<string, string>()
  /** What it was told, in order, and when. */
  readonly told: { readonly router: string; readonly state: string; readonly atMs: number }[] = []
  /** How often the router was told that shows how far a reporter has read. */
  marks = 0
  /** What a handler waits for before it writes. */
  before: (report: Report) => Promise<unknown> = () => Promise.resolve()
  #say: (state: SinkState) => void = () => undefined

  sink(): Sink {
    return {
      width: 64,
      smoothing: smoothing(windowMs),
      send: async (report) => {
        const state = translate(report)
        if (state === undefined) return
        if (report.router === mark) {
          this.marks += 1
          return
        }
        this.told.push({ router: report.router, state, atMs: performance.now() })
        await this.before(report)
        this.table.set(report.router, state)
      },
      onState: (listener) => {
        this.#say = listener
        listener(stateOf(undefined))
        return () => (this.#say = () => undefined)
      },
      close: () => Promise.resolve(),
    }
  }

  away(): void {
    this.#say(stateOf('the broker is gone'))
  }

  back(): void {
    this.#say(stateOf(undefined))
  }

  toldOf(router: string): string[] {
    return this.told.filter((one) => one.router === router).map(({ state }) => state)
  }
}

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

/** A whole agent of one router, whose kernel is a small world; what its journal has is told to Neutron. */
const watched = routerSpec({ id: id(one) })

const telling = (test: TestAgent, neutron: Neutron): Promise<Reporter> =>
  Reporter.start({
    ...{ journal: test.journal, sink: neutron.sink(), name: 'neutron', delivery: 'latest', repeatMs: 60_000 },
    routers: () => new Set([one]),
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

test('item 4 (LP#1916022): a start tells what was seen, and guesses nothing', async () => {
  const neutron = new Neutron()
  const first = await TestAgent.start({ routers: [watched] })
  await first.role('backup', one)
  first.world.host.elect(watched.id, 'primary')
  first.world.lets = () => false
  await using agent = await first.restart({ routers: [watched] })
  await using reporter = await telling(agent, neutron)
  await until('Neutron has what was seen last', () => neutron.table.get(one) !== undefined)
  const before = neutron.table.get(one)
  await staysSo('nothing new is told', () => neutron.table.get(one) === before, 300)
  expect(agent.router(one).role).toBe('unknown')
  agent.world.lets = () => true
  await until('Neutron knows', () => neutron.table.get(one) === 'active')
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
  expect(neutron.toldOf(one)).toEqual(['active'])
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
