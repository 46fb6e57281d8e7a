import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FarEnd, heartbeat } from '../../test/support/far-end.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { Records } from '../../test/support/report-records.ts'
import { until } from '../../test/support/until.ts'
import type { Journal } from '../journal/journal.ts'
import type { JournalRecord } from '../journal/record.ts'
import { Outbox } from './outbox.ts'
import type { Report } from './report.ts'
import { Reporter } from './reporter.ts'

const routers = ['r1', 'r2', 'r3']
const bounds = { usual: 3, failing: 1 }
const maxWaiting = 8
const rereadSize = 3

/** An outbox and all around it, a step at a time: a journal that forgets, and a consumer that drops what is not newer. */
class World {
  readonly records = new Records()
  readonly heard = new Map<string, number[]>(routers.map((router) => [router, []]))
  readonly underWay: Report[] = []
  /** The router that is not taken. */
  stuck: string | undefined
  removedThroughSeq = 0
  hasGap = false
  /** It has begun once more, with what was there. */
  hasBegunAnew = false
  outbox = new Outbox('history', 0, [], 0, bounds)
  #nowMs = 0
  #asked: (() => void) | undefined

  get #heads(): JournalRecord[] {
    return [...this.records.heads.values()]
  }

  readonly steps = {
    append: (at: number) => {
      const router = [...routers, 'r1', undefined][at % 5]
      for (let n = 0; n <= at % 4; n++) this.records.append(router, (at + n) % 3 === 0 ? 'condition' : 'transition')
      return true
    },
    stick: (at: number) => {
      this.stuck = routers[at % 4]
      return true
    },
    read: () => {
      if (this.outbox.readSeq < this.removedThroughSeq)
        this.outbox.skip(this.removedThroughSeq, this.#heads, this.#nowMs)
      const next = this.records.all[this.outbox.readSeq]
      if (next === undefined || this.outbox.waiting >= maxWaiting) return false
      this.outbox.read(next, this.#nowMs)
      return true
    },
    ask: () => {
      const { remainder, readSeq } = this.outbox
      if (remainder === undefined || this.#asked !== undefined) return false
      const { router, fromSeq, firstMs } = remainder
      const limit = Math.min(rereadSize, maxWaiting + rereadSize - this.outbox.waiting)
      if (limit < 1) return false
      const records = this.records.all
        .filter(({ seq, router: of }) => of === router && seq >= fromSeq && seq > this.removedThroughSeq)
        .filter(({ seq }) => seq <= readSeq)
        .slice(0, limit)
      const throughSeq = records.length === limit ? (records.at(-1)?.seq ?? 0) : readSeq
      this.#asked = () => {
        const head = this.records.heads.get(router)
        this.outbox.reread(router, { records, throughSeq, head, restMs: firstMs }, this.#nowMs)
      }
      return true
    },
    answer: () => {
      this.#asked?.()
      const isDone = this.#asked !== undefined
      this.#asked = undefined
      return isDone
    },
    send: () => {
      const next = this.outbox.next(this.#nowMs)?.report
      if (next !== undefined) this.underWay.push(next)
      return next !== undefined
    },
    end: (at: number) => this.#finish(at, true, true),
    fail: (at: number) => this.#finish(at, false, false),
    lose: (at: number) => this.#finish(at, true, false),
    repeat: () => {
      this.outbox.repeat(new Set(routers), this.records.heads, this.#nowMs)
      return true
    },
    wait: () => {
      this.#nowMs += 1000
      return true
    },
    retain: (at: number) => {
      this.removedThroughSeq = Math.max(this.removedThroughSeq, this.outbox.readSeq - at)
      return true
    },
    crash: () => {
      this.hasBegunAnew ||= this.outbox.deliveredSeq === 0
      this.outbox = new Outbox('history', this.outbox.deliveredSeq, this.#heads, this.#nowMs, bounds)
      this.underWay.length = 0
      this.#asked = undefined
      return true
    },
  }

  do(what: keyof World['steps'], at = 0): boolean {
    this.#nowMs += 1
    const isDone = this.steps[what](at)
    this.hasGap ||= this.outbox.gap !== undefined
    expect(this.outbox.waiting).toBeLessThanOrEqual(maxWaiting + rereadSize)
    return isDone
  }

  /** All that can be done is done. */
  settle(): void {
    for (let idle = 0; idle < 3;) {
      const isDone = (['read', 'ask', 'answer', 'send'] as const).map((what) => this.do(what)).includes(true)
      const others = this.underWay.some(({ router }) => router !== this.stuck)
      while (this.underWay.length > 0) this.do('end')
      this.do('wait')
      idle = isDone && (others || this.outbox.readSeq < this.records.all.length) ? 0 : idle + 1
    }
  }

  #finish(at: number, isHeard: boolean, isConfirmed: boolean): boolean {
    const [report] = this.underWay.splice(at % Math.max(1, this.underWay.length), 1)
    if (report === undefined) return false
    const isStuck = report.router === this.stuck
    const heard = this.heard.get(report.router) ?? []
    if (isHeard && !isStuck && report.record.seq > (heard.at(-1) ?? 0)) heard.push(report.record.seq)
    if (isConfirmed && !isStuck) this.outbox.ended(report)
    else this.outbox.failed(report, this.#nowMs, (failures) => 10 * failures)
    return true
  }
}

const often = ['append', 'read', 'read', 'read', 'send', 'send', 'end', 'end', 'ask', 'answer', 'wait'] as const
const seldom = ['fail', 'lose', 'repeat', 'stick', 'crash'] as const
const stepsOf = (...more: readonly 'retain'[]) => {
  const what = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...often) },
    { weight: 1, arbitrary: fc.constantFrom(...seldom, ...more) },
  )
  return fc.array(fc.tuple(what, fc.nat(9)), { minLength: 100, maxLength: 300 })
}

test('however a router fails, the others are told all meanwhile, and it is once it is taken: in order, without a gap', () => {
  fc.assert(
    fc.property(stepsOf(), (steps) => {
      const world = new World()
      const ofRouter = (router: string) =>
        world.records.all.filter((one) => one.router === router).map(({ seq }) => seq)
      for (const [what, at] of steps) {
        world.do(what, at)
        // What counts as delivered is.
        for (const router of routers) {
          const told = ofRouter(router).filter((seq) => seq <= world.outbox.deliveredSeq)
          expect(world.heard.get(router)?.slice(0, told.length)).toEqual(told)
        }
      }
      world.stuck = 'r1'
      for (let n = 0; n < 20; n++) world.do('append', n)
      world.settle()
      expect(world.outbox.readSeq).toBe(world.records.all.length)
      for (const router of ['r2', 'r3']) expect(world.heard.get(router)).toEqual(ofRouter(router))
      expect(world.heard.get('r1')).not.toEqual(ofRouter('r1'))
      world.stuck = undefined
      world.settle()
      for (const router of routers) expect(world.heard.get(router)).toEqual(ofRouter(router))
      expect(world.outbox.figures(0)).toEqual({ waiting: 0, oldestMs: undefined })
      expect(world.outbox.deliveredSeq).toBe(world.records.all.length)
      expect(world.hasGap).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test('what retention took of a router that failed is made up for with its newest change, and shows', () => {
  fc.assert(
    fc.property(stepsOf('retain'), (steps) => {
      const world = new World()
      for (const [what, at] of steps) world.do(what, at)
      world.stuck = undefined
      world.settle()
      for (const router of routers) {
        const heard = world.heard.get(router) ?? []
        expect(heard).toEqual(heard.toSorted((one, other) => one - other))
        const missed = world.records.all.filter((one) => one.router === router && !heard.includes(one.seq))
        expect(missed.filter(({ seq }) => seq > world.removedThroughSeq)).toEqual([])
        const newest = world.records.newest(router)
        if (newest !== undefined) expect(heard).toContain(newest.seq)
        if (missed.length > 0 && !world.hasBegunAnew) expect(world.hasGap).toBe(true)
      }
      expect(world.outbox.figures(0)).toEqual({ waiting: 0, oldestMs: undefined })
    }),
    { numRuns: 300 },
  )
})

test.each([5, 40])(
  'a thousand routers that are never taken leave room for the next, failing after %i records',
  (before) => {
    const records = new Records()
    const outbox = new Outbox('history', 0)
    const round = () => {
      for (let n = 0; n < 900; n++) outbox.read(records.append(`r${n}`), 0)
    }
    for (let count = 0; count < before; count++) round()
    for (const nowMs of [1000, 2000, 3000])
      for (let due = outbox.next(nowMs); due !== undefined; due = outbox.next(nowMs))
        outbox.failed(due.report, nowMs, () => 500)
    for (let count = before; count < 50; count++) round()
    expect(outbox.waiting).toBe(9000)
    expect(outbox.figures(50_000)).toEqual({ waiting: 45_000, oldestMs: 50_000 })
    expect(outbox.deliveredSeq).toBe(0)
  },
)

test('what was removed of a router waits no more once the rest of it is read, and is all that counts as missing', () => {
  const records = new Records()
  const outbox = new Outbox('history', 0, [], 0, { usual: 1, failing: 1 })
  for (let n = 0; n < 100; n++) outbox.read(records.append('r1'), 0)
  for (let n = 0; n < 10; n++) outbox.read(records.append('r2'), 0)
  for (let due = outbox.next(0); due !== undefined; due = outbox.next(0)) outbox.ended(due.report)
  outbox.reread('r1', { records: records.all.slice(90, 93), throughSeq: 93, head: undefined, restMs: 0 }, 5)
  // Of r1 10 of 100 are left, of r2 9 of 10.
  expect(outbox.figures(0).waiting).toBe(19)
  expect(outbox.gap).toEqual({ fromSeq: 2, throughSeq: 90, atMs: 5 })
  // All of r2 is removed.
  outbox.reread('r2', { records: [], throughSeq: 110, head: records.newest('r2'), restMs: 0 }, 6)
  expect(outbox.gap).toEqual({ fromSeq: 2, throughSeq: 110, atMs: 6 })
  outbox.skip(200, [], 6 + 3_600_000)
  expect(outbox.gap).toEqual({ fromSeq: 111, throughSeq: 200, atMs: 6 + 3_600_000 })
})

test('a router of which the journal cannot be read again holds up no other', async () => {
  await using store = testJournal()
  const journal = await store.open({ maxPending: 100_000 })
  const far = new FarEnd()
  let isStuck = true
  far.answer = () => (isStuck ? Promise.reject(new Error('no')) : Promise.resolve())
  const damaged: Pick<Journal, 'read'> = {
    read: (query) => (query.router === 'damaged' ? Promise.reject(new Error('not its hash')) : journal.read(query)),
  }
  await using reporter = await Reporter.start({
    ...{ sink: far.sink(), name: 'fleet', delivery: 'history', repeatMs: 60_000, beat: () => heartbeat },
    ...{ routers: () => new Set(), heldUntilMs: () => undefined },
    journal: {
      ...{ newest: journal.newest, status: journal.status, read: damaged.read.bind(damaged) },
      subscribe: journal.subscribe.bind(journal),
      cursor: journal.cursor.bind(journal),
      keepCursor: journal.keepCursor.bind(journal),
    },
  })
  for (const router of ['damaged', 'r1']) for (let n = 0; n < 1100; n++) journal.append(transition(router))
  await until('all is read', () => reporter.status.waiting === 2200)
  isStuck = false
  far.away('it is away')
  far.away(undefined)
  await until('the other is heard, and of the one what was kept', () => reporter.status.waiting === 100)
  expect(far.news['r1']).toHaveLength(1100)
  expect(far.news['damaged']).toHaveLength(1000)
}, 20_000)

test('Reporter tells all others while one router fails with more than may wait, and that one all once it is taken', async () => {
  await using store = testJournal()
  const journal = await store.open({ maxPending: 100_000 })
  const far = new FarEnd()
  let isStuck = true
  far.answer = ({ router }) =>
    isStuck && router === 'stuck' ? Promise.reject(new Error('not this one')) : Promise.resolve()
  await using reporter = await Reporter.start({
    ...{ journal, sink: far.sink(), name: 'fleet', delivery: 'history', repeatMs: 60_000, beat: () => heartbeat },
    ...{ routers: () => new Set(['stuck', 'r1']), heldUntilMs: () => undefined },
  })
  for (let n = 0; n < 12_000; n++) journal.append(transition('stuck'))
  await journal.append(transition('r1')).durable
  await until('the other is heard', () => far.news['r1'] !== undefined, 10_000)
  expect(reporter.status.waiting).toBe(12_000)
  expect(await journal.cursor('fleet')).toBe(0)
  isStuck = false
  far.away('it is away')
  far.away(undefined)
  const all = Array.from({ length: 12_000 }, (_unused, at) => at + 1)
  await until('each is heard', () => reporter.status.waiting === 0, 10_000)
  expect(
    far.heard.filter(({ router, isRepeat }) => router === 'stuck' && !isRepeat).map(({ record }) => record.seq),
  ).toEqual(all)
  await until('that is kept', async () => (await journal.cursor('fleet')) === 12_001)
}, 40_000)
