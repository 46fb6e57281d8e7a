import { setTimeout as wait } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { testJournal, transition } from '../support/journal.ts'
import { deploy } from '../support/nats-deploy.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, natsTools, reporterOf, storedEvents, valueIn } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'

const routers = 50
const transitions = 10_000

test('10,000 transitions are each stored once and in order while server and agent are killed at random moments', async () => {
  await using server = await NatsServer.start()
  {
    await using operator = await connectAs(server.url)
    await setUpNats(operator, { replicas: undefined })
  }
  await using store = testJournal()
  const journal = await store.open({ maxPending: transitions })
  const settings = natsSettings([server.url])
  let reporter = await reporterOf(journal, settings)
  for (let at = 0; at < transitions; at++) {
    journal.append(transition(`r${String(at % routers)}`, { at }))
    if (Math.random() < 0.002) {
      await server.stop('SIGKILL')
      await wait(Math.random() * 300)
      await server.start()
    }
    if (Math.random() < 0.002) {
      await reporter[Symbol.asyncDispose]()
      reporter = await reporterOf(journal, settings)
    }
    if (at % 10 === 0) await wait(1)
  }
  await using last = reporter
  await until('all is told', () => last.status.waiting === 0 && journal.status.durableSeq >= transitions, 120_000)
  await using operator = await connectAs(server.url)
  const stored = await storedEvents(operator)
  expect(stored).toHaveLength(transitions)
  const newest = new Map<unknown, number>()
  for (const { event } of stored) {
    expect(event.seq).toBe((newest.get(event['router']) ?? event.seq - routers) + routers)
    newest.set(event['router'], event.seq)
  }
  for (const [router, seq] of newest)
    expect(await valueIn(operator, 'keepward-state', `host1.${String(router)}`)).toMatchObject({ seq })
})

test('a cluster whose leader is killed, five times, takes reports again within ten seconds and has each once', async () => {
  await using deployed = await deploy(3)
  const as = () => {
    const at = deployed.servers.findIndex((server) => server.isRunning)
    const { ca, seeds, urls } = deployed
    return connectAs(urls[at] ?? '', { ca, seed: seeds.operator, inbox: '_INBOX.operator' })
  }
  await until(
    'the cluster has a leader',
    async () => {
      await using operator = await as()
      return (await setUpNats(operator, { replicas: 3 })).length
    },
    30_000,
  )
  await using store = testJournal()
  const journal = await store.open()
  const tools = natsTools({
    readFile: () => deployed.ca,
    readSecret: () => Promise.resolve(deployed.seeds.host1),
  })
  const nkey = { kind: 'file', path: '/seed' } as const
  const settings = natsSettings(deployed.urls, { plaintext: false, caFile: '/ca.pem', nkey })
  await using reporter = await reporterOf(journal, settings, { tools })
  const gaps: number[] = []
  let count = 0
  for (let round = 0; round < 5; round++) {
    const leader = await until('there is a leader', async () => {
      await using operator = await as()
      const manager = await jetstreamManager(operator, { checkAPI: false })
      return (await manager.streams.info('KEEPWARD_EVENTS')).cluster?.leader
    })
    const server = deployed.servers[Number(leader.replace('nats', '')) - 1]
    await server?.stop('SIGKILL')
    const began = performance.now()
    for (let n = 0; n < routers; n++, count++) journal.append(transition(`r${String(n)}`))
    await until('all is told', () => reporter.status.delivered >= count, 30_000)
    gaps.push(Math.round(performance.now() - began))
    await server?.start()
    await until(
      'the streams are whole again',
      async () => {
        await using operator = await as()
        const manager = await jetstreamManager(operator, { checkAPI: false })
        const { cluster } = await manager.streams.info('KEEPWARD_EVENTS')
        return cluster?.replicas?.every(({ current }) => current) === true
      },
      60_000,
    )
  }
  console.log(`gaps of ${gaps.join(', ')} ms`)
  expect(Math.max(...gaps)).toBeLessThan(12_000)
  await using reader = await connectAs(deployed.urls[0] ?? '', {
    ...{ ca: deployed.ca, seed: deployed.seeds.consumer, inbox: '_INBOX.consumer' },
  })
  // A consumer of one replica may stand on a server that is still behind.
  const stored = await until('all can be read', async () => {
    const read = await storedEvents(reader)
    return read.length >= count && read
  })
  const seqs = stored.map(({ event }) => event.seq)
  const missing = Array.from({ length: count }, (_, at) => at + 1).filter((seq) => !seqs.includes(seq))
  expect({ missing, doubled: seqs.length - new Set(seqs).size }).toEqual({ missing: [], doubled: 0 })
})
