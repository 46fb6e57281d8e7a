import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { testJournal, transition } from '../../test/support/journal.ts'
import { FarEnd, heartbeat, stateOf } from '../../test/support/far-end.ts'
import { until } from '../../test/support/until.ts'
import { KeepwardError } from '../base/error.ts'
import type { Journal } from '../journal/journal.ts'
import type { Delivery } from './report.ts'
import { Reporter } from './reporter.ts'
import type { Past, Sink } from './sink.ts'

const start = (
  journal: Journal,
  far: FarEnd,
  options: {
    delivery?: Delivery
    heldUntilMs?: (router: string) => number | undefined
    width?: number
    sink?: Sink
  } = {},
) =>
  Reporter.start({
    journal,
    sink: options.sink ?? far.sink(options.width),
    name: 'fleet',
    routers: () => new Set(Array.from({ length: 20 }, (_unused, number) => `r${String(number)}`)),
    beat: () => heartbeat,
    delivery: options.delivery ?? 'latest',
    repeatMs: 60_000,
    heldUntilMs: options.heldUntilMs ?? (() => undefined),
  })

test('what is in the journal and what comes is sent once, and a next start goes on where the last one was', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  await journal.append(transition('r1')).durable
  {
    await using reporter = await start(journal, far, { delivery: 'history' })
    expect(reporter.status.refused.size).toBe(0)
    await until('the first is heard', () => far.heard.length === 1)
    await journal.append(transition('r2')).durable
    await until('the second is heard', () => far.heard.length === 2)
  }
  await journal.append(transition('r1')).durable
  await using again = await start(journal, far, { delivery: 'history' })
  await until('the third is heard', () => far.news['r1']?.length === 2)
  // The newest of each router was told once more, as a receiver that lost everything needs it.
  expect(far.heard.filter(({ isRepeat }) => !isRepeat).map(({ record }) => record.seq)).toEqual([1, 2, 3])
  expect(again.status).toMatchObject({ waiting: 0, state: stateOf(undefined), awayMs: 0, failures: 0 })
})

test('a sink that is away hears the newest of each router at once when it is back', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  await using reporter = await start(journal, far)
  far.away('the broker is down')
  for (let n = 0; n < 300; n++) journal.append(transition(`r${n % 3}`))
  await until('all is durable', () => journal.status.durableSeq >= 300)
  await until('one a router waits', () => reporter.status.waiting === 3)
  expect(far.heard).toEqual([])
  expect(reporter.status.state.trouble).toEqual({ kind: 'unreachable', text: 'the broker is down' })
  far.away(undefined)
  await until('each is heard', () => far.heard.length === 3)
  expect(far.heard.map(({ fromSeq, record }) => [fromSeq, record.seq])).toEqual([
    [1, 298],
    [2, 299],
    [3, 300],
  ])
})

test('what a sink refuses is set aside and named; all else arrives, of the same router too', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  far.answer = ({ record }) =>
    record.seq === 1 ? Promise.reject(new KeepwardError('report-refused', 'It is too long')) : Promise.resolve()
  await using reporter = await start(journal, far, {
    delivery: 'history',
  })
  await journal.append(transition('r1')).durable
  await journal.append(transition('r2')).durable
  await until('it is refused', () => reporter.status.refused.size === 1)
  expect(reporter.status.refused.get('r1')).toBe('It is too long')
  await journal.append(transition('r1')).durable
  await until('the next is heard', () => far.news['r1']?.at(-1) === 3)
  // Who wants each record lacks one for good: it shows until all is told once more, which a new connection asks for.
  expect(reporter.status.refused.size).toBe(1)
  far.away('it is away')
  far.away(undefined)
  await until('it shows no more', () => reporter.status.refused.size === 0)
  expect(far.news).toEqual({ r1: [3], r2: [2] })
})

test('one router whose report fails holds up no other, and arrives in the end', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  let failures = 0
  far.answer = ({ router }) =>
    router === 'r1' && failures++ < 2 ? Promise.reject(new Error('not now')) : Promise.resolve()
  await using reporter = await start(journal, far)
  for (const router of ['r1', 'r2', 'r3']) journal.append(transition(router))
  await until('the others are heard', () => far.news['r2'] !== undefined && far.news['r3'] !== undefined, 400)
  await until('the first too', () => far.news['r1'] !== undefined, 5000)
  expect(reporter.status.lastError).toBe('not now')
})

test('of a flapping router nothing is said before its time, and then what is so', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  const untilMs = performance.now() + 400
  await using reporter = await start(journal, far, {
    heldUntilMs: (router) => (router === 'r1' ? untilMs : undefined),
  })
  for (let n = 0; n < 5; n++) await journal.append(transition('r1')).durable
  await journal.append(transition('r2')).durable
  await until('the other is heard', () => far.news['r2'] !== undefined)
  expect(reporter.status.waiting).toBe(1)
  expect(far.news['r1']).toBeUndefined()
  await until('it is told', () => far.heard.some(({ router }) => router === 'r1'))
  expect(performance.now()).toBeGreaterThanOrEqual(untilMs)
  expect(far.heard.filter(({ router }) => router === 'r1').map(({ fromSeq, record }) => [fromSeq, record.seq])).toEqual(
    [[1, 5]],
  )
})

test('a sink that wants each record and takes none does not fill the memory', async () => {
  await using store = testJournal()
  const journal = await store.open({ maxPending: 100_000 })
  const far = new FarEnd()
  const blocked = Promise.withResolvers<undefined>()
  far.answer = () => blocked.promise
  await using reporter = await start(journal, far, {
    delivery: 'history',
  })
  for (let n = 0; n < 20_000; n++) journal.append(transition(`r${n % 10}`))
  await until('all is durable', () => journal.status.durableSeq >= 20_000)
  await until('it waits', () => reporter.status.waiting === 10_000)
  await wait(200)
  expect(reporter.status.waiting).toBe(10_000)
  blocked.resolve(undefined)
  await until('each is heard, in order', () => Object.values(far.news).flat().length === 20_000)
})

test('what the other end keeps of routers that are no more is to go; that the agent lives is told at once', async () => {
  await using store = testJournal()
  const journal = await store.open()
  await journal.append(transition('gone')).durable
  const far = new FarEnd()
  await using reporter = await start(journal, far)
  await until('it was told', () => far.kept !== undefined && far.beats.length === 1)
  expect(far.kept?.has('r1')).toBe(true)
  expect(far.kept?.has('gone')).toBe(false)
  expect(reporter.status.failures).toBe(0)
})

test('a sink smooths by itself: what is known there is not told, what it holds back is told in its time', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const far = new FarEnd()
  const pasts: Past[] = []
  const sink: Sink = {
    ...far.sink(),
    smoothing: (report, past) => {
      pasts.push(past)
      if (past.confirmed !== undefined) return 'known'
      return report.record.body['to'] === 'primary' ? { untilMs: past.firstMs + 300 } : 'now'
    },
  }
  await using reporter = await start(journal, far, { sink })
  await journal.append(transition('r1')).durable
  await journal.append(transition('r2', { from: 'primary', to: 'backup' })).durable
  await until('the one is told', () => far.heard.length === 1)
  expect(far.heard.map(({ router }) => router)).toEqual(['r2'])
  await until('the other is, in its time', () => far.heard.length === 2)
  const { firstMs = Infinity } = pasts.find(({ nowMs, firstMs: at }) => nowMs >= at + 300) ?? {}
  expect(performance.now()).toBeGreaterThanOrEqual(firstMs + 300)
  await journal.append(transition('r2', { from: 'backup', to: 'backup' })).durable
  await until('it is known', () => pasts.at(-1)?.confirmed !== undefined && reporter.status.waiting === 0)
  expect(far.heard).toHaveLength(2)
})

test('a cursor that is ahead of its journal holds up nothing', async () => {
  await using store = testJournal()
  const journal = await store.open()
  await journal.append(transition('r1')).durable
  await journal.keepCursor('fleet', 1000)
  const far = new FarEnd()
  await using reporter = await start(journal, far, { delivery: 'history' })
  await journal.append(transition('r2')).durable
  await until('what comes is heard', () => far.news['r2']?.[0] === 2)
  expect(reporter.status.lastError).toBeUndefined()
})
