import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { heartbeat } from '../../test/support/far-end.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { staysSo, until } from '../../test/support/until.ts'
import type { Journal } from '../journal/journal.ts'
import type { Report } from './report.ts'
import { Reporter, type ReporterParts } from './reporter.ts'
import type { Sink, SinkState } from './sink.ts'

const there: SinkState = { trouble: undefined, insecure: undefined }
const away: SinkState = { trouble: { kind: 'unreachable', text: 'it is away' }, insecure: undefined }

/** A sink that a test puts together; what it took is in `heard`. */
class Odd {
  readonly heard: string[] = []
  tell: (state: SinkState) => void = () => undefined
  readonly sink: Sink

  constructor(send: (report: Report, signal: AbortSignal) => Promise<void>, rest: Partial<Sink> = {}) {
    this.sink = {
      width: 8,
      send: (report, signal) => send(report, signal).then(() => void this.heard.push(report.router)),
      onState: (listener) => {
        this.tell = listener
        listener(there)
        return () => (this.tell = () => undefined)
      },
      close: () => Promise.resolve(),
      ...rest,
    }
  }
}

const routers = new Set(['quiet', 'busy', 'known', ...Array.from({ length: 30 }, (_unused, n) => `r${n}`)])

const start = (journal: Journal, { sink }: Odd, rest: Partial<ReporterParts> = {}) =>
  Reporter.start({
    ...{ journal, sink, name: 'odd', delivery: 'latest', beat: () => heartbeat, routers: () => routers },
    ...{ repeatMs: 600_000, heldUntilMs: () => undefined },
    ...rest,
  })

afterEach(() => {
  vi.restoreAllMocks()
})

/** How many timers are set within so many milliseconds. */
async function timersWithin(ms: number): Promise<number> {
  const timers = vi.spyOn(globalThis, 'setTimeout')
  await wait(ms)
  return timers.mock.calls.length
}

test('no timer spins while a report has waited long enough and the sink is away', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const odd = new Odd(() => Promise.reject(new Error('no')))
  await using reporter = await start(journal, odd)
  await journal.append(transition('r1')).durable
  await until('it has failed', () => reporter.status.lastError === 'no')
  odd.tell(away)
  // The pause after one failure is 0.5 s at most.
  await until('its pause is over', () => (reporter.status.oldestMs ?? 0) > 800)
  expect(await timersWithin(300)).toBeLessThan(20)
})

test('no timer spins while a report has waited long enough and the sink is busy', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const busy = (signal: AbortSignal) =>
    new Promise<void>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('given up'))
      })
    })
  const odd = new Odd(({ router }, signal) => (router === 'r1' ? Promise.reject(new Error('no')) : busy(signal)), {
    width: 1,
  })
  await using reporter = await start(journal, odd)
  await journal.append(transition('r1')).durable
  await until('it has failed', () => reporter.status.lastError === 'no')
  await journal.append(transition('r2')).durable
  await until('its pause is over', () => (reporter.status.oldestMs ?? 0) > 800)
  expect(await timersWithin(300)).toBeLessThan(20)
})

test('a router whose smoothing fails once is told all the same', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let failures = 0
  const odd = new Odd(() => Promise.resolve(), {
    smoothing: ({ router }) => {
      if (router === 'r1' && failures++ === 0) throw new Error('a defect')
      return 'now'
    },
  })
  await using reporter = await start(journal, odd)
  expect(reporter.status.refused.size).toBe(0)
  await journal.append(transition('r1')).durable
  await until('it has failed', () => failures === 1)
  await journal.append(transition('r1')).durable
  await until('it is told', () => odd.heard.includes('r1'), 3000)
})

test('a sink that throws in place of a rejection is asked again', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let failures = 0
  const odd: Odd = new Odd(() => Promise.resolve(), {
    send: ({ router }) => {
      if (failures++ === 0) throw new Error('a defect')
      odd.heard.push(router)
      return Promise.resolve()
    },
  })
  await using reporter = await start(journal, odd)
  expect(reporter.status.refused.size).toBe(0)
  await journal.append(transition('r1')).durable
  await until('it has failed', () => failures === 1)
  await journal.append(transition('r1')).durable
  await until('it is told', () => odd.heard.includes('r1'), 3000)
})

test('what the journal gave up is no gap that retention made', async () => {
  await using store = testJournal()
  const journal = await store.open({ maxPending: 20 })
  const odd = new Odd(() => Promise.resolve())
  await using reporter = await start(journal, odd, { delivery: 'history' })
  await journal.append(transition('r1')).durable
  await until('it is heard', () => odd.heard.length > 0)
  for (let n = 0; n < 100; n++) journal.append(transition('r1'))
  await until('the last is told', async () => (await journal.cursor('odd')) === 101, 5000)
  expect(journal.status.lost).toBeGreaterThan(0)
  expect(reporter.status.gap).toBeUndefined()
})

test.each(['latest', 'history'] as const)(
  'a sink of %s that is added late hears of a router whose last change retention has taken',
  async (delivery) => {
    await using store = testJournal()
    const retain = { days: 30, sizeBytes: 200_000 }
    const before = await store.open({ retain })
    await before.append(transition('quiet')).durable
    await until(
      'its change is gone',
      async () => {
        for (let n = 0; n < 200; n++) before.append(transition('busy', { from: 'x'.repeat(1000) }))
        await before.append(transition('busy')).durable
        return before.status.retainedFromSeq > 1
      },
      10_000,
    )
    await before.close(2000)
    const journal = await store.open({ retain })
    expect(journal.heads.get('quiet')?.seq).toBe(1)
    const odd = new Odd(() => Promise.resolve())
    await using reporter = await start(journal, odd, { delivery })
    expect(reporter.status.refused.size).toBe(0)
    await until('the busy one is heard', () => odd.heard.includes('busy'))
    await until('the quiet one is heard', () => odd.heard.includes('quiet'), 3000)
    // It begins with what there is: what was gone by then is missing to nobody.
    expect(reporter.status.gap?.fromSeq).not.toBe(1)
  },
)

test.each(['latest', 'history'] as const)(
  'a sink of %s says what retention took of what it was to tell',
  async (delivery) => {
    await using store = testJournal()
    const retain = { days: 30, sizeBytes: 200_000 }
    const before = await store.open({ retain })
    await before.keepCursor('odd', (await before.append(transition('quiet')).durable).seq)
    await until(
      'the rest is gone',
      async () => {
        for (let n = 0; n < 200; n++) before.append(transition('busy', { from: 'x'.repeat(1000) }))
        await before.append(transition('busy')).durable
        return before.status.retainedFromSeq > 2
      },
      10_000,
    )
    await before.close(2000)
    const journal = await store.open({ retain })
    const odd = new Odd(() => Promise.resolve())
    await using reporter = await start(journal, odd, { delivery })
    await until('the busy one is heard', () => odd.heard.includes('busy') && reporter.status.waiting === 0)
    const { gap } = reporter.status
    if (delivery === 'latest') expect(gap).toBeUndefined()
    else expect(gap?.fromSeq).toBe(2)
  },
)

test('a sink that asks for pauses is not told everything anew after each of them', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let taken = 0
  const odd: Odd = new Odd(
    () => {
      taken += 1
      if (taken % 10 > 0) return Promise.resolve()
      odd.tell(away)
      setTimeout(() => {
        odd.tell(there)
      }, 20)
      return Promise.reject(new Error('too much'))
    },
    { isConnectionless: true },
  )
  await using reporter = await start(journal, odd)
  for (let n = 0; n < 30; n++) journal.append(transition(`r${n}`))
  await until('each is heard', () => new Set(odd.heard).size === 30)
  await until('nothing waits', () => reporter.status.waiting === 0, 3000)
})

test('what a sink knows already makes room for what is read', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const odd = new Odd(() => Promise.resolve(), { smoothing: ({ router }) => (router === 'known' ? 'known' : 'now') })
  await using reporter = await start(journal, odd, { delivery: 'history' })
  odd.tell(away)
  for (let n = 0; n < 101; n++)
    await Promise.all(Array.from({ length: 100 }, () => journal.append(transition('known')).durable))
  await journal.append(transition('r1')).durable
  await until('as much as may waits', () => reporter.status.waiting >= 10_000)
  odd.tell(there)
  await until('the other one is heard', () => odd.heard.includes('r1'), 5000)
})

test('disposing does not wait for ever for a sink that does not give up', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let isAsked = false
  const odd = new Odd(() => {
    isAsked = true
    return new Promise(() => undefined)
  })
  const reporter = await start(journal, odd)
  await journal.append(transition('r1')).durable
  await until('it is asked', () => isAsked)
  let isDisposed = false
  void reporter[Symbol.asyncDispose]().then(() => (isDisposed = true))
  await until('it is disposed of', () => isDisposed, 12_000)
})

test('a sink that holds a report until now is not asked again at once, for ever', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let asked = 0
  const odd = new Odd(() => Promise.resolve(), {
    smoothing: (_report, { nowMs }) => {
      asked += 1
      return asked > 5000 ? 'now' : { untilMs: nowMs }
    },
  })
  await using reporter = await start(journal, odd)
  expect(reporter.status.refused.size).toBe(0)
  await journal.append(transition('r1')).durable
  await staysSo('it is asked now and then', () => asked < 1000, 500)
})

test('a sink that is tried now and then stays in trouble until it takes something, or nothing is left to try it with', async () => {
  await using store = testJournal()
  const journal = await store.open()
  let takes = false
  const odd = new Odd(() => (takes ? Promise.resolve() : Promise.reject(new Error('no'))), { isConnectionless: true })
  await using reporter = await start(journal, odd)
  odd.tell(away)
  await journal.append(transition('r1')).durable
  await until('it waits', () => reporter.status.waiting === 1)
  odd.tell({ ...away, isTried: true })
  await until('it is tried', () => reporter.status.failures > 0)
  const { state, awayMs } = reporter.status
  expect(state).toEqual(away)
  odd.tell(away)
  expect(reporter.status.awayMs).toBeGreaterThanOrEqual(awayMs)
  takes = true
  odd.tell({ ...away, isTried: true })
  await until('it is taken', () => odd.heard.length === 1)
  expect(reporter.status).toMatchObject({ state: there, waiting: 0 })
})
