import type { JournalRecord } from '../journal/record.ts'
import type { Report } from './report.ts'

/** A report that waits, and when the first record was read that it stands for. */
export interface Due {
  readonly report: Report
  readonly firstMs: number
}

/** What was read of a router and is not kept in memory: from `fromSeq` to `throughSeq` it is to be read again from the journal. */
export interface Remainder {
  readonly fromSeq: number
  readonly throughSeq: number
  /** Of the first of them. */
  readonly routerSeq: number | undefined
  /** So many records at most. */
  readonly count: number
  /** When the first of them was read. */
  readonly firstMs: number
}

/** All that the journal has of a router's remainder up to `throughSeq`. */
export interface Reread {
  readonly records: readonly JournalRecord[]
  readonly throughSeq: number
  /** The router's newest change of role, which stands for what retention took. */
  readonly head: JournalRecord | undefined
  /** No record after `throughSeq` was read for the first time before. */
  readonly restMs: number
}

/** How many reports of one router are kept in memory. */
export interface LaneBounds {
  readonly usual: number
  /** Once its first one has failed so often that it may fail for ever. */
  readonly failing: number
}

/** In a row. One that fails now and then is not worth reading again what was read. */
const manyFailures = 3

/** What waits for a sink of one router: in order, one at a time. */
export class Lane {
  readonly router: string
  /** The first one is under way where `isUnderWay`. */
  readonly waiting: Due[] = []
  isUnderWay = false
  /** How often the first one failed. */
  failures = 0
  readonly #bounds: LaneBounds
  #remainder: Remainder | undefined

  constructor(router: string, bounds: LaneBounds) {
    this.router = router
    this.#bounds = bounds
  }

  /** What comes after all that waits. */
  get remainder(): Remainder | undefined {
    return this.#remainder
  }

  /** Nothing waits in memory, and something does in the journal. */
  get isDrained(): boolean {
    return this.waiting.length === 0 && this.#remainder !== undefined
  }

  /** Everything up to this record is delivered; undefined: nothing waits that is news. */
  get deliveredSeq(): number | undefined {
    const first = this.waiting.find(({ report }) => !report.isRepeat)
    const fromSeq = first?.report.fromSeq ?? this.#remainder?.fromSeq
    return fromSeq === undefined ? undefined : fromSeq - 1
  }

  /** When the oldest of what waits was read. */
  get firstMs(): number | undefined {
    return this.waiting[0]?.firstMs ?? this.#remainder?.firstMs
  }

  /** False: it is left to the journal, as too much waits, or some before it is there too. */
  add(due: Due): boolean {
    if (this.#remainder === undefined && this.waiting.length < this.#bound) {
      this.waiting.push(due)
      return true
    }
    this.#remainder = leave(due, this.#remainder)
    return false
  }

  /** Leave to the journal what is too much by now. */
  shorten(): void {
    for (const due of this.waiting.splice(this.#bound).reverse()) this.#remainder = leave(due, this.#remainder)
  }

  /** Goes on with what was left. False: retention took some of it, for which the head stands if it was taken too. */
  take({ records, throughSeq, head, restMs }: Reread): boolean {
    const [first, last] = [records[0], records.at(-1)]
    const before = this.#remainder
    if (before === undefined) return true
    const { router } = this
    const { fromSeq, routerSeq, firstMs } = before
    const removed = first?.routerSeq === undefined || routerSeq === undefined ? 0 : first.routerSeq - routerSeq
    if (head !== undefined && head.seq >= fromSeq && head.seq < (first?.seq ?? throughSeq + 1))
      this.waiting.push({ report: { router, record: head, fromSeq, isRepeat: false }, firstMs })
    for (const record of records)
      this.waiting.push({ report: { router, record, fromSeq: record.seq, isRepeat: false }, firstMs })
    this.#remainder =
      before.throughSeq <= throughSeq
        ? undefined
        : {
            ...{ fromSeq: throughSeq + 1, throughSeq: before.throughSeq, firstMs: restMs },
            routerSeq: last?.routerSeq === undefined ? undefined : last.routerSeq + 1,
            count: Math.max(1, before.count - records.length - removed),
          }
    return first !== undefined && removed === 0
  }

  get #bound(): number {
    return this.failures < manyFailures ? this.#bounds.usual : this.#bounds.failing
  }
}

function leave({ report: { record, fromSeq }, firstMs }: Due, after: Remainder | undefined): Remainder {
  const { seq, routerSeq } = record
  if (after === undefined) return { fromSeq, throughSeq: seq, routerSeq, count: 1, firstMs }
  const count = after.count + 1
  // What is left last comes last, or, of a lane that is shortened, first.
  if (fromSeq > after.fromSeq) return { ...after, throughSeq: seq, count }
  return { ...after, fromSeq, routerSeq, firstMs, count }
}
