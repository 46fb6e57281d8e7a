import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { jetstreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import type { Journal } from '../../src/journal/journal.ts'
import { stateBucket } from '../../src/report/nats/layout.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { testJournal, transition } from '../support/journal.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, reporterOf, storedEvents, valueIn, watchedSink, type StoredEvent } from '../support/nats-sink.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

async function startReady(): Promise<NatsServer> {
  const server = await NatsServer.start()
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: undefined })
  return server
}

const routers = 20
function append(journal: Journal, count: number): void {
  for (let n = 0; n < count; n++) journal.append(transition(`r${String(n % routers)}`, { n }))
}

/** By router, what is in the stream, in its order. */
function byRouter(stored: readonly StoredEvent[]): Record<string, number[]> {
  const by: Record<string, number[]> = {}
  for (const { event } of stored) (by[String(event['router'])] ??= []).push(event.seq)
  return by
}
const expected = (count: number): Record<string, number[]> => {
  const by: Record<string, number[]> = {}
  for (let seq = 1; seq <= count; seq++) (by[`r${String((seq - 1) % routers)}`] ??= []).push(seq)
  return by
}

test('each record is stored once and in order when the server is killed and started again in between', async () => {
  await using server = await startReady()
  await using store = testJournal()
  const journal = await store.open({ maxPending: 100_000 })
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  append(journal, 4000)
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    const before = reporter.status.delivered
    await until('some are told', () => reporter.status.delivered > before + 300)
    await server.stop(signal)
    await until('it is seen', () => reporter.status.state.trouble !== undefined)
    await server.start()
  }
  await until('all is told', () => reporter.status.delivered >= 4000 && reporter.status.waiting === 0, 25_000)
  await using operator = await connectAs(server.url)
  const stored = await storedEvents(operator)
  expect(new Set(stored.map(({ id }) => id)).size).toBe(stored.length)
  expect(byRouter(stored)).toEqual(expected(4000))
  for (let n = 0; n < routers; n++)
    expect(await valueIn(operator, stateBucket, `host1.r${String(n)}`)).toMatchObject({ seq: 3981 + n })
})

test('a bucket without room holds reports up until there is some, and loses none', async () => {
  await using server = await startReady()
  await using operator = await connectAs(server.url)
  const manager = await jetstreamManager(operator)
  await manager.streams.update('KV_keepward-state', { max_bytes: 2000 })
  await using store = testJournal()
  const journal = await store.open()
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  append(journal, routers)
  await until('it says so', () => reporter.status.lastError?.includes('maximum bytes exceeded') === true)
  expect(reporter.status.refused.size).toBe(0)
  await manager.streams.update('KV_keepward-state', { max_bytes: 1_000_000 })
  await until('all is told', () => reporter.status.delivered === routers)
  expect(byRouter(await storedEvents(operator))).toEqual(expected(routers))
})

test('a server that stands still is noticed, and gets everything once when it goes on', async () => {
  await using server = await startReady()
  await using store = testJournal()
  const journal = await store.open()
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  append(journal, routers)
  await until('the first are told', () => reporter.status.delivered === routers)
  server.signal('SIGSTOP')
  append(journal, routers)
  await until('it is noticed', () => reporter.status.state.trouble?.kind === 'unreachable', 8000)
  server.signal('SIGCONT')
  const began = performance.now()
  await until('all is told', () => reporter.status.delivered >= 2 * routers && reporter.status.waiting === 0)
  expect(performance.now() - began).toBeLessThan(5000)
  await using operator = await connectAs(server.url)
  expect(byRouter(await storedEvents(operator))).toEqual(expected(2 * routers))
})

test('a server that accepts and never speaks costs one connection at a time, and another server is taken', async () => {
  await using server = await startReady()
  await using silent = await TcpProxy.start(undefined)
  const place = `nats://127.0.0.1:${String(silent.port)}`
  await using only = watchedSink(natsSettings([place]))
  await using both = watchedSink(natsSettings([place, server.url]))
  await until('the other is taken', () => both.state.trouble === undefined)
  await until('it is said', () => only.state.trouble?.text.endsWith('has not answered in time') === true)
  await until('it is tried again', () => silent.accepted >= 3 || (silent.accepted >= 2 && silent.open <= 1))
  expect(silent.open).toBeLessThanOrEqual(1)
})

test.each([
  ['something else', 'HTTP/1.1 400 Bad Request\r\n'],
  ['more than a line before TLS', 'INFO {"tls_required":true}\r\nINFO {}\r\n'],
  ['a line without end', 'x'.repeat(100_000)],
  ['a line that is no JSON', 'INFO {\r\n'],
])('a server that says %s is not spoken to', async (_name, text) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write(text)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    await using watched = watchedSink(natsSettings([`tls://127.0.0.1:${String(port)}`]))
    await until(
      'it is said',
      () => watched.state.trouble?.text === `NATS at 127.0.0.1:${String(port)} says something that is not NATS`,
    )
  } finally {
    server.close()
  }
})

test('nothing is lost or doubled when each connection is cut off in the middle of a frame', async () => {
  await using server = await startReady()
  await using proxy = await TcpProxy.start(server.port)
  await using store = testJournal()
  const journal = await store.open({ maxPending: 100_000 })
  proxy.cutAfter = 20_011
  await using reporter = await reporterOf(journal, natsSettings([`nats://127.0.0.1:${String(proxy.port)}`]))
  append(journal, 600)
  await until('it was cut off often', () => proxy.accepted >= 5)
  proxy.cutAfter = undefined
  await until('all is told', () => reporter.status.delivered >= 600 && reporter.status.waiting === 0)
  await using operator = await connectAs(server.url)
  expect(byRouter(await storedEvents(operator))).toEqual(expected(600))
})

test('streams that are removed while it runs are named, and used again once they are there', async () => {
  await using server = await startReady()
  await using store = testJournal()
  const journal = await store.open()
  await using reporter = await reporterOf(journal, natsSettings([server.url]))
  append(journal, 1)
  await until('the first is told', () => reporter.status.delivered === 1)
  await using operator = await connectAs(server.url)
  await (await jetstreamManager(operator)).streams.delete('KEEPWARD_EVENTS')
  append(journal, 1)
  await until('it is named', () => reporter.status.state.trouble?.kind === 'not-ready')
  expect(reporter.status.state.trouble?.text).toBe('stream KEEPWARD_EVENTS is missing: keepward nats setup')
  await setUpNats(operator, { replicas: undefined })
  await until('the second is told', () => reporter.status.delivered === 2)
})
