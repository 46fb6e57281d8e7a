import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core/internal'
import { maxBodyLength, type JournalRecord } from '../../src/journal/record.ts'
import { eventOf } from '../../src/report/event.ts'
import { stateBucket } from '../../src/report/nats/layout.ts'
import { Link } from '../../src/report/nats/link.ts'
import { checkNats, setUpNats } from '../../src/report/nats/setup.ts'
import { States } from '../../src/report/nats/state.ts'
import type { Report } from '../../src/report/report.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, natsTools, storedEvents, valueIn, watchedSink } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'

let server: NatsServer
let operator: NatsConnection
let link: Link
beforeAll(async () => {
  server = await NatsServer.start()
  operator = await connectAs(server.url)
  link = new Link(operator, '_INBOX.test')
})
afterAll(async () => {
  await operator.close()
  await server[Symbol.asyncDispose]()
})
beforeEach(async () => {
  const manager = await jetstreamManager(operator)
  for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name)
  await setUpNats(operator, { replicas: undefined })
})

const record = (seq: number, change: Partial<JournalRecord> = {}): JournalRecord => ({
  ...{ kind: 'transition', router: 'r1', at: { wallMs: 1_000_000 + seq, monoMs: seq }, body: { to: 'primary' } },
  ...{ seq, agent: 'host1', epoch: { journal: 'a'.repeat(32), start: 1 }, boot: 'b', routerSeq: seq, late: false },
  ...{ previous: '0'.repeat(64), hash: '1'.repeat(64) },
  ...change,
})
const report = (of: JournalRecord, isRepeat = false): Report => ({
  ...{ router: of.router ?? '', record: of, fromSeq: of.seq, isRepeat },
})
const put = (states: States, of: JournalRecord) =>
  states.put(link, of, Buffer.from(JSON.stringify(eventOf(report(of)))), false)
const seqThere = async () => (await valueIn(operator, stateBucket, 'host1.r1'))?.['seq']

test('States.put() keeps the newer state when an older one is written late, whoever writes it', async () => {
  const states = new States('host1')
  await put(states, record(5))
  await put(new States('host1'), record(3))
  expect(await seqThere()).toBe(5)
  await put(states, record(6))
  // Its revision is one that somebody else has written over.
  await put(new States('host1'), record(8))
  await put(states, record(7))
  expect(await seqThere()).toBe(8)
})

test('States.put() keeps the newest of several that are written at one moment', async () => {
  await Promise.all([4, 2, 3, 1].map((seq) => put(new States('host1'), record(seq))))
  expect(await seqThere()).toBe(4)
})

test('States.put() goes by the moment between two journals, unless that one is still to come', async () => {
  const epoch = { journal: 'c'.repeat(32), start: 1 }
  await put(new States('host1'), record(50))
  await put(new States('host1'), record(2, { epoch, at: { wallMs: 999_999, monoMs: 1 } }))
  expect(await seqThere()).toBe(50)
  await put(new States('host1'), record(3, { epoch, at: { wallMs: 2_000_000, monoMs: 1 } }))
  expect(await seqThere()).toBe(3)
  await put(new States('host1'), record(60, { at: { wallMs: Date.now() + 1e9, monoMs: 1 } }))
  await put(new States('host1'), record(4, { epoch, at: { wallMs: Date.now(), monoMs: 1 } }))
  expect(await seqThere()).toBe(4)
})

test('keepOnly() removes the keys of routers that do not run here any more, of this agent alone', async () => {
  for (const [agent, router] of [
    ['host1', 'r1'],
    ['host1', 'r.2'],
    ['host2', 'r1'],
    ['host1.x', 'r1'],
  ] as const)
    await put(new States(agent), record(1, { agent, router }))
  await using watched = watchedSink(natsSettings([server.url]))
  await until('it is there', () => watched.state.trouble === undefined)
  const signal = AbortSignal.timeout(10_000)
  await watched.sink.keepOnly?.(new Set(['r1']), signal)
  expect(await valueIn(operator, stateBucket, 'host1.r=2E2')).toBeUndefined()
  for (const key of ['host1.r1', 'host2.r1', 'host1=2Ex.r1'])
    expect(await valueIn(operator, stateBucket, key)).toMatchObject({ seq: 1 })
  const { state } = await (await jetstreamManager(operator)).streams.info('KV_keepward-state')
  await watched.sink.keepOnly?.(new Set(['r1']), signal)
  expect((await (await jetstreamManager(operator)).streams.info('KV_keepward-state')).state.last_seq).toBe(
    state.last_seq,
  )
  // A router that comes back has a state again.
  await watched.sink.send(report(record(9, { router: 'r.2' })), signal)
  expect(await valueIn(operator, stateBucket, 'host1.r=2E2')).toMatchObject({ seq: 9 })
})

test('States.keepOnly() leaves what was put since it was known which routers run, and removes the rest', async () => {
  const states = new States('host1')
  for (const router of ['gone', 'r1', 'readded']) await put(states, record(1, { router }))
  const keys = async () => {
    await Promise.resolve()
    // Meanwhile these two are added.
    for (const router of ['added', 'readded']) await put(states, record(2, { router }))
    return ['readded', 'gone', 'added', 'r1'].map((router) => `$KV.keepward-state.host1.${router}`)
  }
  await states.keepOnly(link, new Set(['r1']), keys())
  const seqOf = async (router: string) => (await valueIn(operator, stateBucket, `host1.${router}`))?.['seq']
  expect([await seqOf('added'), await seqOf('readded'), await seqOf('r1'), await seqOf('gone')]).toEqual([
    2,
    2,
    1,
    undefined,
  ])
  // Who is gone by the next time goes then.
  await states.keepOnly(link, new Set(['r1', 'added']), Promise.resolve(['$KV.keepward-state.host1.readded']))
  expect([await seqOf('added'), await seqOf('readded')]).toEqual([2, undefined])
})

test('send() stores a record once when it is sent again, and what is told once more only where it was lost', async () => {
  await using watched = watchedSink(natsSettings([server.url]))
  await until('it is there', () => watched.state.trouble === undefined)
  const signal = AbortSignal.timeout(10_000)
  for (const isRepeat of [false, false, true]) await watched.sink.send(report(record(1), isRepeat), signal)
  expect((await storedEvents(operator)).map(({ event }) => event.seq)).toEqual([1])
  const manager = await jetstreamManager(operator)
  for (const name of ['KEEPWARD_EVENTS', 'KV_keepward-state']) await manager.streams.delete(name)
  await setUpNats(operator, { replicas: undefined })
  await watched.sink.send(report(record(1), true), signal)
  expect((await storedEvents(operator)).map(({ event }) => event.seq)).toEqual([1])
  expect(await seqThere()).toBe(1)
})

test('send() is refused for good only where the stream takes no message of that length', async () => {
  await using watched = watchedSink(natsSettings([server.url]))
  await until('it is there', () => watched.state.trouble === undefined)
  const long = (characters: number) => report(record(1, { body: { text: 'x'.repeat(characters) } }))
  const signal = AbortSignal.timeout(10_000)
  await expect(watched.sink.send(long(200_000), signal)).rejects.toMatchObject({ code: 'report-refused' })
  await expect(watched.sink.send(long(2_000_000), signal)).rejects.toMatchObject({ code: 'report-refused' })
  await watched.sink.send(long(16_384), signal)
  expect(watched.state.trouble).toBeUndefined()
})

test('a server that takes no long message is not ready, nor set up, until its max_payload is raised', async () => {
  const limit = (bytes: number) => `max_payload: ${bytes}`
  await using small = await NatsServer.start(limit(65_535))
  const agent = 'a'.repeat(64)
  await using watched = watchedSink(natsSettings([small.url]), natsTools({ agent }))
  await until('it is not ready', () => watched.state.trouble?.kind === 'not-ready')
  const text = 'max_payload of the server is 65535 bytes, must be 65536 or more in its config'
  expect(watched.state.trouble).toEqual({ kind: 'not-ready', text })
  {
    await using there = await connectAs(small.url)
    await expect(setUpNats(there, { replicas: undefined })).rejects.toMatchObject({
      code: 'nats-failed',
      message: text,
    })
  }
  writeFileSync(small.configFile, readFileSync(small.configFile, 'utf8').replace(limit(65_535), limit(65_536)))
  small.signal('SIGHUP')
  await until('streams are missing', () => /^stream KEEPWARD_EVENTS is missing/.test(watched.state.trouble?.text ?? ''))
  {
    await using there = await connectAs(small.url)
    await setUpNats(there, { replicas: undefined })
  }
  await until('it is ready', () => watched.state.trouble === undefined)
  // The longest that there is: of three bytes a character.
  const body = { text: '\u0800'.repeat(maxBodyLength - '{"text":""}'.length) }
  const longest = record(Number.MAX_SAFE_INTEGER, { agent, router: 'r'.repeat(64), body })
  await watched.sink.send(report(longest), AbortSignal.timeout(10_000))
})

test('setUpNats() mends what is of an older layout or was changed, and leaves alone what is newer or not ours', async () => {
  const manager = await jetstreamManager(operator)
  const config = { description: 'Keepward layout 0: x', max_msg_size: 1000, max_bytes: 5_000_000 }
  await manager.streams.update('KEEPWARD_EVENTS', config)
  await manager.streams.update('KV_keepward-state', { description: 'Keepward layout 2: y', max_msg_size: 7000 })
  expect(await checkNats(operator)).toEqual(['stream KEEPWARD_EVENTS has the layout of an older Keepward'])
  expect((await setUpNats(operator, { replicas: undefined })).map(({ stream, what }) => [stream, what])).toEqual([
    ['KEEPWARD_EVENTS', 'changed'],
    ['KV_keepward-state', 'newer'],
    ['KV_keepward-agents', 'right'],
  ])
  expect(await checkNats(operator)).toEqual([])
  // A limit is the operator's own.
  expect((await manager.streams.info('KEEPWARD_EVENTS')).config.max_bytes).toBe(5_000_000)
  expect((await manager.streams.info('KV_keepward-state')).config.max_msg_size).toBe(7000)
  await expect(setUpNats(operator, { replicas: 3 })).rejects.toThrow(
    'Three replicas need a cluster of three servers, and this one stands alone',
  )
  await manager.streams.update('KV_keepward-agents', { description: 'mine' })
  await expect(setUpNats(operator, { replicas: undefined })).rejects.toThrow(
    'There is a stream KV_keepward-agents that Keepward did not make',
  )
  expect(await checkNats(operator)).toEqual(['stream KV_keepward-agents is none that Keepward made'])
})
