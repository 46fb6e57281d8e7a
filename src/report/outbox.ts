import type { JournalRecord } from '../journal/record.ts'
import { Lane, type Due, type LaneBounds, type Reread, type Remainder } from './lane.ts'
import type { Delivery, Report } from './report.ts'

/** Records that the journal removed before they were told. */
export interface Gap {
  readonly fromSeq: number
  readonly throughSeq: number
  /** When it was found. */
  readonly atMs: number
}

/** What is lost stays lost: it shows long enough to be seen. */
export const gapShownMs = 3_600_000

export interface OutboxFigures {
  /** Reports that are not delivered. */
  readonly waiting: number
  /** For how long the oldest has waited, milliseconds; undefined: none waits. */
  readonly oldestMs: number | undefined
}

/** A router that fails for ever keeps little, so that hundreds of them leave room for the others. */
const usualBounds: LaneBounds = { usual: 1000, failing: 10 }

/**
 * What is read of a journal and not delivered yet, by router: many routers at once, of each one report at a time and in order. One
 * that fails holds up its own router alone, and what is too much of one router is left to the journal and read again from there. Times are of the monotonic clock, in milliseconds.
 */
export class Outbox {
  readonly #delivery: Delivery
  readonly #bounds: LaneBounds
  readonly #lanes = new Map<string, Lane>()
  /** Those of which nothing waits but what was left to the journal, the one that has waited longest first. */
  readonly #drained = new Set<Lane>()
  /** Routers whose next report may be sent, the one that has waited longest first. */
  readonly #ready = new Set<string>()
  /** Until when a router that failed is left alone. */
  readonly #pausing = new Map<string, number>()
  /** No pause ends before. */
  #nextMs = Infinity
  /** Those of them that did not fail, and are to wait. */
  readonly #held = new Set<string>()
  /** Of each router the newest change of role that was read. */
  readonly #newest = new Map<string, JournalRecord>()
  #readSeq: number
  #waiting = 0
  #gap: Gap | undefined

  /**
   * `after`: everything up to this record is delivered. `heads`: of each router the newest change of role in the journal, of which what was there
   * before may be unknown. Where only the newest counts they wait at once, and nothing before them is read.
   */
  constructor(
    delivery: Delivery,
    after: number,
    heads: Iterable<JournalRecord> = [],
    nowMs = 0,
    bounds: LaneBounds = usualBounds,
  ) {
    this.#delivery = delivery
    this.#bounds = bounds
    this.#readSeq = after
    for (const record of heads) {
      const { router, seq } = record
      if (router === undefined) continue
      if (seq <= after || delivery === 'latest') this.#newest.set(router, record)
      if (seq <= after || delivery === 'history') continue
      this.#readSeq = Math.max(this.#readSeq, seq)
      this.#add({ router, record, fromSeq: after + 1, isRepeat: false }, nowMs)
    }
  }

  /** The next record of the journal. */
  read(record: JournalRecord, nowMs: number): void {
    this.#readSeq = record.seq
    const { router } = record
    if (router === undefined) return
    if (record.kind === 'transition') this.#newest.set(router, record)
    if (this.#delivery === 'latest' && record.kind !== 'transition') return
    this.#add({ router, record, fromSeq: record.seq, isRepeat: false }, nowMs)
  }

  /** Retention took records before they were read: of what they said, the newest change of each router is among the `heads`. */
  skip(throughSeq: number, heads: Iterable<JournalRecord>, nowMs: number): void {
    const fromSeq = this.#readSeq + 1
    this.#readSeq = Math.max(this.#readSeq, throughSeq)
    // Who begins at the beginning begins with what is there.
    if (fromSeq > 1) this.#missing(fromSeq, throughSeq, nowMs)
    for (const record of heads) {
      const { router, seq } = record
      if (router === undefined || seq < fromSeq || seq > throughSeq) continue
      this.#newest.set(router, record)
      this.#add({ router, record, fromSeq, isRepeat: false }, nowMs)
    }
  }

  /** Reports that are not delivered and kept in memory. */
  get waiting(): number {
    return this.#waiting
  }

  get readSeq(): number {
    return this.#readSeq
  }

  /** The records that the sink misses for good; undefined: none that are known, or it does not want every record. */
  get gap(): Gap | undefined {
    return this.#gap
  }

  /** What is to be read again from the journal, up to what was read. */
  get remainder(): (Remainder & { readonly router: string }) | undefined {
    const [lane] = this.#drained
    return lane?.remainder === undefined ? undefined : { router: lane.router, ...lane.remainder }
  }

  /** The router's {@link remainder} cannot be read now: the next one's turn. */
  putOff(router: string): void {
    const lane = this.#lanes.get(router)
    if (lane !== undefined && this.#drained.delete(lane)) this.#drained.add(lane)
  }

  /** The router's {@link remainder} was read again. */
  reread(router: string, reread: Reread, nowMs: number): void {
    const lane = this.#lanes.get(router)
    if (lane === undefined || !this.#drained.delete(lane)) return
    const { fromSeq = 0, throughSeq = 0 } = lane.remainder ?? {}
    const [first] = reread.records
    const takenSeq = first === undefined ? Math.min(throughSeq, reread.throughSeq) : first.seq - 1
    if (!lane.take(reread)) this.#missing(fromSeq, takenSeq, nowMs)
    this.#waiting += lane.waiting.length
    this.#goOn(lane)
  }

  /**
   * Have a sink that may have lost everything hear the newest of each of these routers of which nothing waits; others are forgotten, and found among
   * the `heads` when they are back.
   */
  repeat(routers: ReadonlySet<string>, heads: ReadonlyMap<string, JournalRecord>, nowMs: number): void {
    for (const router of this.#newest.keys()) if (!routers.has(router)) this.#newest.delete(router)
    for (const router of routers) {
      const record = this.#newest.get(router) ?? heads.get(router)
      // What is not read yet is no repetition.
      if (record === undefined || record.seq > this.#readSeq || this.#lanes.has(router)) continue
      this.#newest.set(router, record)
      this.#add({ router, record, fromSeq: record.seq, isRepeat: true }, nowMs)
    }
  }

  /** A report that may be sent now; it is under way until it is said how it ended. */
  next(nowMs: number): Due | undefined {
    if (nowMs >= this.#nextMs) this.#endPauses(nowMs)
    const [router] = this.#ready
    if (router === undefined) return undefined
    this.#ready.delete(router)
    const lane = this.#lanes.get(router)
    if (lane !== undefined) lane.isUnderWay = true
    return lane?.waiting[0]
  }

  /** When to look for one that may be tried again; some that was the first may be gone by then. */
  get nextMs(): number | undefined {
    return this.#pausing.size === 0 ? undefined : this.#nextMs
  }

  /** It is delivered, or never will be. */
  ended({ router }: Report): void {
    const lane = this.#lanes.get(router)
    if (lane?.isUnderWay !== true) return
    lane.waiting.shift()
    this.#waiting -= 1
    Object.assign(lane, { isUnderWay: false, failures: 0 })
    this.#goOn(lane)
  }

  /** It may be tried again after a pause of so many milliseconds, by how often it has failed. */
  failed({ router }: Report, nowMs: number, pauseMs: (failures: number) => number): void {
    const lane = this.#lanes.get(router)
    if (lane?.isUnderWay !== true) return
    lane.isUnderWay = false
    lane.failures += 1
    this.#coalesce(lane)
    const before = lane.waiting.length
    lane.shorten()
    this.#waiting -= before - lane.waiting.length
    this.#pause(router, nowMs + pauseMs(lane.failures))
  }

  /** It is not to be sent before that moment. */
  held({ router }: Report, untilMs: number): void {
    const lane = this.#lanes.get(router)
    if (lane?.isUnderWay !== true) return
    lane.isUnderWay = false
    this.#coalesce(lane)
    this.#held.add(router)
    this.#pause(router, untilMs)
  }

  /** What is held back of a router. */
  heldBack(router: string): Due | undefined {
    return this.#held.has(router) ? this.#lanes.get(router)?.waiting[0] : undefined
  }

  /** It is not held back any longer. */
  release({ router }: Report): void {
    if (!this.#held.delete(router)) return
    this.#pausing.delete(router)
    this.#ready.add(router)
  }

  /** The sink is there again: nobody waits any longer. */
  resume(): void {
    this.#held.clear()
    for (const router of this.#pausing.keys()) this.#ready.add(router)
    this.#pausing.clear()
  }

  /** Everything up to this record is delivered, or never will be. */
  get deliveredSeq(): number {
    return Math.min(this.#readSeq, ...[...this.#lanes.values()].map((lane) => lane.deliveredSeq ?? Infinity))
  }

  figures(nowMs: number): OutboxFigures {
    const lanes = [...this.#lanes.values()]
    const left = lanes.reduce((sum, { remainder }) => sum + (remainder?.count ?? 0), 0)
    const sinceMs = Math.min(...lanes.map(({ firstMs = nowMs }) => firstMs))
    return { waiting: this.#waiting + left, oldestMs: lanes.length === 0 ? undefined : nowMs - sinceMs }
  }

  #pause(router: string, untilMs: number): void {
    this.#pausing.set(router, untilMs)
    this.#nextMs = Math.min(this.#nextMs, untilMs)
  }

  #endPauses(nowMs: number): void {
    this.#nextMs = Infinity
    for (const [router, untilMs] of this.#pausing) {
      if (untilMs > nowMs) {
        this.#nextMs = Math.min(this.#nextMs, untilMs)
        continue
      }
      this.#held.delete(router)
      this.#pausing.delete(router)
      this.#ready.add(router)
    }
  }

  #missing(fromSeq: number, throughSeq: number, atMs: number): void {
    if (this.#delivery === 'latest') return
    // One that shows no more is no part of the next.
    const known = this.#gap !== undefined && atMs - this.#gap.atMs < gapShownMs ? this.#gap : undefined
    const { fromSeq: from = fromSeq, throughSeq: through = throughSeq } = known ?? {}
    this.#gap = { fromSeq: Math.min(from, fromSeq), throughSeq: Math.max(through, throughSeq), atMs }
  }

  #add(report: Report, nowMs: number): void {
    const { router } = report
    const known = this.#lanes.get(router)
    const lane = known ?? new Lane(router, this.#bounds)
    if (!lane.add({ report, firstMs: nowMs })) return
    this.#waiting += 1
    if (known !== undefined) {
      this.#coalesce(lane)
      return
    }
    this.#lanes.set(router, lane)
    this.#ready.add(router)
  }

  /** With what is the next of a router of which nothing is under way. */
  #goOn(lane: Lane): void {
    if (lane.waiting.length > 0) this.#ready.add(lane.router)
    else if (lane.remainder !== undefined) this.#drained.add(lane)
    else this.#lanes.delete(lane.router)
  }

  /** Of what is not under way, the newest stands for all, where nobody asks for the history. */
  #coalesce({ waiting, isUnderWay }: Lane): void {
    if (this.#delivery === 'history') return
    const [first, ...others] = waiting.splice(isUnderWay ? 1 : 0)
    const last = others.at(-1) ?? first
    if (first === undefined || last === undefined) return
    const news = [first, ...others].filter(({ report }) => !report.isRepeat)
    const fromSeq = news[0]?.report.fromSeq ?? last.report.fromSeq
    const report = { ...last.report, fromSeq, isRepeat: news.length === 0 }
    waiting.push({ report, firstMs: (news[0] ?? first).firstMs })
    this.#waiting -= others.length
  }
}
