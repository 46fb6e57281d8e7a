import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Records } from '../../test/support/report-records.ts'
import { Outbox } from './outbox.ts'
import type { Delivery, Report } from './report.ts'

const drain = (outbox: Outbox, nowMs = 0): Report[] => {
  const reports: Report[] = []
  for (let next = outbox.next(nowMs); next !== undefined; next = outbox.next(nowMs)) reports.push(next.report)
  return reports
}
const said = (reports: readonly Report[]) =>
  reports.map(
    ({ router, fromSeq, record: { seq }, isRepeat }) => `${router} ${fromSeq}..${seq}${isRepeat ? ' again' : ''}`,
  )

test('of one router one report is under way, of many routers many', () => {
  const records = new Records()
  const outbox = new Outbox('history', 0)
  for (const router of ['r1', 'r2', 'r1', 'r2']) outbox.read(records.append(router), 0)
  const first = drain(outbox)
  expect(said(first)).toEqual(['r1 1..1', 'r2 2..2'])
  for (const one of first) outbox.ended(one)
  expect(said(drain(outbox))).toEqual(['r1 3..3', 'r2 4..4'])
})

test('of a sink that is behind, the newest change of role stands for those before it', () => {
  const records = new Records()
  const outbox = new Outbox('latest', 0)
  outbox.read(records.append('r1'), 0)
  const [first] = drain(outbox)
  for (let n = 0; n < 5; n++) outbox.read(records.append('r1'), 10)
  outbox.read(records.append('r1', 'condition'), 10)
  expect(outbox.figures(20)).toEqual({ waiting: 2, oldestMs: 20 })
  if (first !== undefined) outbox.ended(first)
  expect(said(drain(outbox))).toEqual(['r1 2..6'])
})

test('one that fails is tried again after its pause, with what is the newest by then, and holds up no other router', () => {
  const records = new Records()
  const outbox = new Outbox('latest', 0)
  outbox.read(records.append('r1'), 0)
  const [first] = drain(outbox)
  outbox.read(records.append('r1'), 1)
  outbox.read(records.append('r2'), 1)
  if (first !== undefined) outbox.failed(first, 1, (failures) => 100 * failures)
  expect(said(drain(outbox, 50))).toEqual(['r2 3..3'])
  expect(outbox.nextMs).toBe(101)
  expect(said(drain(outbox, 101))).toEqual(['r1 1..2'])
})

test('a sink that is there again waits for no pause', () => {
  const outbox = new Outbox('latest', 0)
  outbox.read(new Records().append('r1'), 0)
  const [first] = drain(outbox)
  if (first !== undefined) outbox.failed(first, 0, () => 30_000)
  expect(drain(outbox, 1)).toEqual([])
  outbox.resume()
  expect(said(drain(outbox, 1))).toEqual(['r1 1..1'])
})

test('the newest of each router is told once more, and is no news', () => {
  const records = new Records()
  const known = [records.append('r1'), records.append('r2'), records.append('r3')]
  const heads = new Map(known.map((one) => [one.router ?? '', one]))
  const outbox = new Outbox('latest', 2, known)
  // What was not delivered before is news.
  expect(outbox.deliveredSeq).toBe(2)
  expect(said(drain(outbox))).toEqual(['r3 3..3'])
  outbox.repeat(new Set(['r1', 'r3']), heads, 0)
  // Of one that is no more nothing is said again,
  expect(said(drain(outbox))).toEqual(['r1 1..1 again'])
  // until it is back, although its role has not changed. What is not read yet is no repetition.
  heads.set('r4', { ...records.append('r4'), seq: 99 })
  outbox.repeat(new Set(['r2', 'r4']), heads, 0)
  expect(said(drain(outbox))).toEqual(['r2 2..2 again'])
})

test('where only the newest counts, what was missed is not read', () => {
  const records = new Records()
  for (let count = 0; count < 99; count++) records.append('r1')
  const outbox = new Outbox('latest', 10, [records.append('r1')])
  expect(outbox.readSeq).toBe(100)
  expect(said(drain(outbox))).toEqual(['r1 11..100'])
  expect(new Outbox('history', 10, [records.append('r1')]).readSeq).toBe(10)
})

/** What a consumer has: it drops what is not newer than what it knows. */
class Consumer {
  readonly seen = new Map<string, number[]>()
  hear({ router, record: { seq } }: Report): void {
    const seqs = this.seen.get(router) ?? []
    if (seq > (seqs.at(-1) ?? 0)) this.seen.set(router, [...seqs, seq])
  }
}

const routers = ['r1', 'r2', 'r3']
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      router: fc.constantFrom(...routers, undefined),
      other: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('send' as const, 'end' as const, 'fail' as const, 'lose' as const),
      at: fc.nat(2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('repeat' as const, 'crash' as const, 'resume' as const, 'wait' as const),
    }),
  },
)

test.each<Delivery>(['latest', 'history'])(
  'whatever fails, is lost or crashes: of %s each consumer ends with the right state, in order',
  (delivery) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const records = new Records()
        const consumer = new Consumer()
        let outbox = new Outbox(delivery, 0)
        let kept = 0
        let nowMs = 0
        let underWay: Report[] = []
        const take = (at: number) => underWay.splice(Math.min(at, underWay.length - 1), 1)[0]
        const send = () => {
          const next = outbox.next(nowMs)?.report
          if (next === undefined) return false
          expect(underWay.map(({ router }) => router)).not.toContain(next.router)
          underWay.push(next)
          return true
        }
        for (const one of steps) {
          nowMs += 1
          if (one.do === 'append')
            outbox.read(records.append(one.router, one.other ? 'condition' : 'transition'), nowMs)
          else if (one.do === 'send') send()
          else if (one.do === 'repeat') outbox.repeat(new Set(routers), records.heads, nowMs)
          else if (one.do === 'resume') outbox.resume()
          else if (one.do === 'wait') nowMs += 1000
          else if (one.do === 'crash') {
            kept = Math.max(kept, outbox.deliveredSeq)
            const newest = routers.flatMap((router) => records.newest(router) ?? [])
            outbox = new Outbox(delivery, kept, newest, nowMs)
            underWay = []
            for (const again of records.all.slice(outbox.readSeq)) outbox.read(again, nowMs)
          } else if ('at' in one && underWay.length > 0) {
            const report = take(one.at)
            if (report === undefined) continue
            // Lost: it arrived, and nobody said so.
            if (one.do !== 'fail') consumer.hear(report)
            if (one.do === 'end') outbox.ended(report)
            else outbox.failed(report, nowMs, (failures) => 10 * failures)
          }
        }
        for (let left = 1000; left > 0; left--) {
          nowMs += 1000
          if (!send() && underWay.length === 0) break
          for (const report of underWay.splice(0)) {
            consumer.hear(report)
            outbox.ended(report)
          }
        }
        expect(outbox.figures(nowMs)).toEqual({ waiting: 0, oldestMs: undefined })
        expect(outbox.deliveredSeq).toBe(records.all.at(-1)?.seq ?? 0)
        for (const router of routers) {
          const seen = consumer.seen.get(router) ?? []
          const all = records.all.filter((one) => one.router === router).map(({ seq }) => seq)
          if (delivery === 'history') expect(seen).toEqual(all)
          else expect(seen.at(-1)).toBe(records.newest(router)?.seq)
        }
      }),
      { numRuns: 500 },
    )
  },
)
