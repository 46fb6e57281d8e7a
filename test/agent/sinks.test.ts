import { afterEach, beforeEach, expect, test } from 'vitest'
import { startSinks } from '../../src/agent/sinks.ts'
import { systemClock } from '../../src/base/instant.ts'
import type { SinkEntry } from '../../src/config/sink-schema.ts'
import { agentBucket, stateBucket } from '../../src/report/nats/layout.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { TestAgent } from '../support/agent.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { storedEvents, valueIn } from '../support/nats-sink.ts'
import { freePort } from '../support/nats-server.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ ...r1, id: id('r2'), namespace: 'keepward-r2', vrid: 8 })

let server: NatsServer
beforeEach(async () => {
  server = await NatsServer.start()
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
})

const fleet = (change: Partial<Extract<SinkEntry, { type: 'nats' }>> = {}): SinkEntry => ({
  ...{ type: 'nats', name: 'fleet', delivery: 'latest', repeatMs: 300_000, servers: [server.url], plaintext: true },
  ...{ nkey: undefined, caFile: undefined, clientCertificate: undefined },
  ...change,
})

/** As the program does it. */
async function reporting(test: TestAgent, store: AsyncDisposableStack, settings: readonly SinkEntry[] = [fleet()]) {
  const stop = startSinks({ settings, agent: test.agent, vault: undefined, clock: systemClock })
  store.defer(stop)
  await until('the sinks have begun', () => test.agent.status().sinks.length === settings.length)
}

test('an agent shows what its sink lacks, tells it once that is made, and is told of by its heartbeat', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await using store = new AsyncDisposableStack()
  await reporting(test, store)
  expect(await test.condition('sink-not-ready')).toMatch(/^fleet: .*KEEPWARD_EVENTS/)
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: 1 })
  await test.noCondition('sink-not-ready')
  // No TLS, and 2.9.10: said as long as it is so.
  expect(await test.condition('sink-insecure')).toMatch(/^fleet: the way there is not encrypted/)

  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  const state = await until('the fleet knows', async () => {
    const found = await valueIn(operator, stateBucket, 'host1.r1')
    return (found?.['body'] as { to?: string } | undefined)?.to === 'primary' && found
  })
  const head = test.journal.newest.get('r1')
  expect(state).toMatchObject({ agent: 'host1', seq: head?.seq, hash: head?.hash })
  const beat = await until(
    'the heartbeat counts it',
    async () => {
      const found = await valueIn(operator, agentBucket, 'host1')
      return (found?.['roles'] as { primary?: number } | undefined)?.primary === 1 && found
    },
    8000,
  )
  expect(beat).toMatchObject({ agent: 'host1', version: '1.2.3', roles: { primary: 1, backup: 1 } })
  expect(test.agent.status().sinks).toMatchObject([{ name: 'fleet', type: 'nats', state: 'ready', refused: [] }])
  expect(test.defects).toEqual([])
})

test('a sink that is away is a condition after a while, and nothing of what happened meanwhile is lost', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await using store = new AsyncDisposableStack()
  {
    await using operator = await connectAs(server.url)
    await setUpNats(operator, { replicas: 1 })
  }
  await reporting(test, store, [fleet({ delivery: 'history' })])
  await until('it is current', () => (test.agent.status().sinks[0]?.delivered ?? 0) > 0)
  await server.stop('SIGKILL')
  for (const role of ['primary', 'backup', 'primary'] as const) {
    test.world.host.elect(r2.id, role)
    await test.role(role, 'r2')
  }
  expect(await until('it shows', () => test.condition('sink-behind'), 15_000)).toMatch(
    /^fleet: .*; [0-9]+ reports wait, the oldest for 1[0-9] s$/,
  )
  await server.start()
  await test.noCondition('sink-behind')
  await until('all is told', () => test.agent.status().sinks[0]?.waiting === 0)
  await using reader = await connectAs(server.url)
  const told = (await storedEvents(reader)).map(({ event }) => event).filter((event) => event['router'] === 'r2')
  const records = await test.records({ router: 'r2' })
  expect(told.map(({ seq }) => seq)).toEqual(records.map(({ seq }) => seq))
}, 40_000)

test('a router that is no more is gone from the fleet, and one sink that cannot be reached holds up no other', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await using store = new AsyncDisposableStack()
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: 1 })
  const nowhere = fleet({ name: 'nowhere', servers: [`nats://127.0.0.1:${String(await freePort())}`] })
  await reporting(test, store, [nowhere, fleet({ repeatMs: 1000 })])
  await until('both are there', async () => (await valueIn(operator, stateBucket, 'host1.r2')) !== undefined)
  test.want([r1])
  await test.agent.apply()
  await until('it is gone', async () => (await valueIn(operator, stateBucket, 'host1.r2')) === undefined, 8000)
  expect(await valueIn(operator, stateBucket, 'host1.r1')).toMatchObject({ router: 'r1' })
  expect(test.agent.status().sinks).toMatchObject([{ name: 'nowhere', state: 'unreachable' }, { state: 'ready' }])
})

test('a router that is dropped and wanted again is told of again', async () => {
  const before = await TestAgent.start({ routers: [r1, r2] })
  await before.role('backup')
  await using test = await before.restart({ routers: [r1, r2] })
  await using store = new AsyncDisposableStack()
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: 1 })
  await reporting(test, store, [fleet({ repeatMs: 1000 })])
  const stateOfR1 = () => valueIn(operator, stateBucket, 'host1.r1')
  await until('it is there', async () => (await stateOfR1()) !== undefined)
  test.want([r2])
  await test.agent.apply()
  await until('it is gone', async () => (await stateOfR1()) === undefined, 8000)
  test.want([r1, r2])
  await test.agent.apply()
  await test.role('backup')
  const state = await until('it is there again', stateOfR1, 8000)
  expect(state['body']).toMatchObject({ to: 'backup' })
  // Each change goes on from where the one before it ended.
  expect(await test.transitions('r1')).toEqual(['unknown -> backup', 'backup -> unknown', 'unknown -> backup'])
})
