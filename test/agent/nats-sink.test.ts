import { jetstream } from '@nats-io/jetstream'
import { headers } from '@nats-io/nats-core/internal'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { agentBucket, stateBucket } from '../../src/report/nats/layout.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { testJournal, transition } from '../support/journal.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, reporterOf, storedEvents, valueIn } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'

let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

test('openNatsSink() brings what the journal tells into the stream and the bucket when somebody has set NATS up', async () => {
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: undefined })
  await using store = testJournal()
  const journal = await store.open()
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  await journal.append(transition('r.1', { from: 'backup', to: 'primary' })).durable
  await journal.append(transition('r.1', { from: 'primary', to: 'backup' })).durable
  await until('both are told', () => reporter.status.delivered === 2)
  expect(reporter.status.state.insecure).toMatch(/^the way there is not encrypted/)
  const told = await storedEvents(operator)
  const { journal: id } = journal.epoch
  expect(told.map(({ subject, id, event }) => [subject, id, event.seq])).toEqual([
    ['keepward.v1.event.host1.r=2E1', `host1:${id}.1:1`, 1],
    ['keepward.v1.event.host1.r=2E1', `host1:${id}.1:2`, 2],
  ])
  expect(await valueIn(operator, stateBucket, 'host1.r=2E1')).toMatchObject({
    ...{ version: 1, router: 'r.1', seq: 2, fromSeq: 2, body: { from: 'primary', to: 'backup' } },
  })
  const beat = await until('its heartbeat is there', () => valueIn(operator, agentBucket, 'host1'))
  expect(beat).toMatchObject({ agent: 'host1', health: 'healthy' })
})

test('a record whose id another agent has used up is stored all the same', async () => {
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: undefined })
  await using store = testJournal()
  const journal = await store.open()
  const said = headers()
  said.set('Nats-Msg-Id', `host1:${journal.epoch.journal}.1:1`)
  await jetstream(operator).publish('keepward.v1.event.host2.x', '{}', { headers: said })
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  await journal.append(transition('poisoned')).durable
  await until('it is told', () => reporter.status.delivered === 1)
  const told = await storedEvents(operator)
  expect(told.filter(({ subject }) => subject === 'keepward.v1.event.host1.poisoned')).toMatchObject([
    { event: { seq: 1 } },
  ])
})
