import type { Journal } from '../journal/journal.ts'
import { Cursor } from './cursor.ts'
import { Deadlines } from './deadlines.ts'
import { takeIn } from './intake.ts'
import type { Due } from './lane.ts'
import { Outbox, type Gap, type OutboxFigures } from './outbox.ts'
import { pauseAfter } from './pace.ts'
import { Presence } from './presence.ts'
import type { Delivery, Report } from './report.ts'
import { reread } from './reread.ts'
import type { Heartbeat, Past, Sink, SinkState, Smoothing } from './sink.ts'
import { Tally, type TallyFigures } from './tally.ts'

export interface ReporterParts {
  readonly journal: Pick<Journal, 'newest' | 'status' | 'subscribe' | 'read' | 'cursor' | 'keepCursor'>
  readonly sink: Sink
  /** Of the sink, and of its cursor in the journal. */
  readonly name: string
  readonly delivery: Delivery
  /** How often the newest of each router is told once more, milliseconds. */
  readonly repeatMs: number
  /** Those that the agent runs. */
  readonly routers: () => ReadonlySet<string>
  readonly beat: () => Heartbeat
  /** Until when nothing is to be said of a flapping router, of the monotonic clock; undefined: it may be. */
  readonly heldUntilMs: (router: string) => number | undefined
  readonly advertisementIntervalMs?: (router: string) => number | undefined
}

export interface ReporterStatus extends OutboxFigures, TallyFigures {
  readonly state: SinkState
  /** What the journal removed before it was told, to a sink that wants every record; and how long ago that was found, milliseconds. */
  readonly gap: (Pick<Gap, 'fromSeq' | 'throughSeq'> & { readonly ageMs: number }) | undefined
  /** For how long it cannot be sent to, milliseconds; 0: it can. */
  readonly awayMs: number
}

const sendDeadlineMs = 10_000
const keepEveryMs = 1000
const beatEveryMs = 5000
const firstPauseMs = 500
const maxPauseMs = 30_000
/** Of a sink that wants every record: what is read ahead of it, beside what is read again. */
const maxWaiting = 10_000
const maxReread = 1000
/** At the end, for a sink that does not. */
const giveUpMs = 2000

/**
 * Has one sink hear what the journal tells, from where it was the last time: at least once, of each router in order, for as long as it
 * takes. What it does not take is set aside and holds up nothing.
 */
export class Reporter implements AsyncDisposable {
  readonly #parts: ReporterParts
  readonly #outbox: Outbox
  readonly #ending = new AbortController()
  readonly #deadlines = new Deadlines(sendDeadlineMs)
  readonly #tally: Tally
  readonly #underWay = new Set<Promise<void>>()
  readonly #attempts = new Set<Promise<void>>()
  readonly #timers: NodeJS.Timeout[]
  readonly #presence = new Presence()
  readonly #reading: Promise<unknown>
  #roomMade = Promise.withResolvers<undefined>()
  #pumpTimer: NodeJS.Timeout | undefined
  #settleTimer: NodeJS.Timeout | undefined
  readonly #cursor: Cursor

  private constructor(parts: ReporterParts, cursor: Cursor) {
    this.#parts = parts
    this.#cursor = cursor
    this.#tally = new Tally(parts.delivery)
    this.#outbox = new Outbox(parts.delivery, cursor.seq, parts.journal.newest.values(), performance.now())
    this.#timers = [
      setInterval(() => void this.#keep(), keepEveryMs),
      setInterval(this.#repeat.bind(this), parts.repeatMs),
      setInterval(this.#beat.bind(this), beatEveryMs),
    ]
    this.#presence.follow(parts.sink, this.#onThere.bind(this))
    const reading = {
      ...{ journal: parts.journal, outbox: this.#outbox, signal: this.#ending.signal },
      onError: this.#tally.note.bind(this.#tally),
    }
    this.#reading = Promise.all([
      takeIn({
        ...reading,
        onRead: (router) => {
          this.#hasten(router)
          this.#pump()
          return this.#outbox.waiting < maxWaiting ? undefined : this.#untilRoom()
        },
      }),
      // What is read ahead of a sink that is slow must not keep a router from going on.
      reread({
        ...reading,
        maxWaiting: maxWaiting + maxReread,
        changed: () => this.#roomMade.promise,
        onRead: this.#pump.bind(this),
      }),
    ])
  }

  /** Throws `journal-failed` when the journal does not say how far the sink has come. */
  static async start(parts: ReporterParts): Promise<Reporter> {
    return new Reporter(parts, await Cursor.read(parts.journal, parts.name))
  }

  get status(): ReporterStatus {
    const nowMs = performance.now()
    const figures = this.#outbox.figures(nowMs)
    const { gap } = this.#outbox
    return {
      ...figures,
      ...this.#tally.figures(nowMs),
      state: this.#presence.state(figures.waiting === 0),
      gap: gap && { fromSeq: gap.fromSeq, throughSeq: gap.throughSeq, ageMs: nowMs - gap.atMs },
      awayMs: this.#presence.awayMs,
    }
  }

  /** What is under way is given up; it is sent again by whoever comes next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    this.#deadlines.giveUp()
    for (const timer of this.#timers) clearInterval(timer)
    for (const timer of [this.#pumpTimer, this.#settleTimer]) clearTimeout(timer)
    this.#roomMade.resolve(undefined)
    this.#presence[Symbol.dispose]()
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(resolve, giveUpMs, undefined)
    await Promise.race([promise, Promise.all([this.#reading, ...this.#underWay, ...this.#attempts])])
    clearTimeout(timer)
    await this.#cursor.settled()
    await this.#keep()
    await this.#parts.sink.close()
  }

  /** Of a sink that wants every record no more is read than there is room for. */
  async #untilRoom(): Promise<void> {
    while (this.#outbox.waiting >= maxWaiting && !this.#isEnding()) await this.#roomMade.promise
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted
  }

  #canSend(): boolean {
    return this.#presence.isThere() && !this.#isEnding() && this.#underWay.size < this.#parts.sink.width
  }

  #onThere(mayHaveForgotten: boolean): void {
    this.#outbox.resume()
    this.#beat()
    if (mayHaveForgotten) this.#repeatTwice()
    this.#pump()
  }

  /** Now, and once what was told before the other end was there again has come to its end there. */
  #repeatTwice(): void {
    this.#repeat()
    clearTimeout(this.#settleTimer)
    const { settlesMs } = this.#parts.sink
    if (settlesMs !== undefined) this.#settleTimer = setTimeout(this.#repeat.bind(this), settlesMs)
  }

  #repeat(): void {
    if (!this.#presence.isThere()) return
    const { journal, routers, sink } = this.#parts
    const known = routers()
    this.#tally.anew(known)
    this.#outbox.repeat(known, journal.newest, performance.now())
    this.#pump()
    this.#attempt((signal) => sink.keepOnly?.(known, signal))
  }

  #beat(): void {
    const { sink, beat } = this.#parts
    if (this.#presence.isThere()) this.#attempt((signal) => sink.beat?.(beat(), signal))
  }

  /** What is done again on a timer may fail; it is waited for at the end. */
  #attempt(work: (signal: AbortSignal) => Promise<void> | undefined): void {
    const attempt = this.#deadlines
      .run(work)
      .catch((error: unknown) => {
        if (!this.#isEnding()) this.#tally.note(error)
      })
      .then(() => {
        this.#attempts.delete(attempt)
      })
    this.#attempts.add(attempt)
  }

  #pump(): void {
    clearTimeout(this.#pumpTimer)
    while (this.#canSend()) {
      const nowMs = performance.now()
      const due = this.#outbox.next(nowMs)
      if (due === undefined) break
      try {
        this.#weigh(due, nowMs)
      } catch (error) {
        this.#failed(due.report, error)
        this.#makeRoom()
      }
    }
    const { nextMs } = this.#outbox
    // What ends, or is back, looks again by itself.
    if (nextMs === undefined || !this.#canSend()) return
    this.#pumpTimer = setTimeout(
      () => {
        this.#pump()
      },
      Math.max(1, nextMs - performance.now()),
    )
  }

  /** What is held back may be otherwise now, and need no holding back. */
  #hasten(router: string | undefined): void {
    const due = router === undefined ? undefined : this.#outbox.heldBack(router)
    if (due === undefined) return
    try {
      if (this.#verdict(due, performance.now()) !== 'now') return
    } catch {
      // It is weighed once more, and fails there.
    }
    this.#outbox.release(due.report)
  }

  #weigh(due: Due, nowMs: number): void {
    const { report } = due
    const verdict = this.#verdict(due, nowMs)
    if (verdict === 'known') {
      this.#outbox.ended(report)
      this.#makeRoom()
    } else if (verdict === 'now' || verdict.untilMs <= nowMs) this.#send(report)
    else this.#outbox.held(report, verdict.untilMs)
  }

  #verdict({ report, firstMs }: Due, nowMs: number): ReturnType<Smoothing> {
    const { sink, heldUntilMs, advertisementIntervalMs } = this.#parts
    const { router, isRepeat } = report
    const [flapsUntilMs, intervalMs] = [heldUntilMs(router), advertisementIntervalMs?.(router)]
    // A sink that may have lost everything is told again, whatever it has confirmed.
    const confirmed = isRepeat ? undefined : this.#tally.confirmed(router)
    return (sink.smoothing ?? calm)(report, {
      nowMs,
      firstMs,
      flapsUntilMs,
      confirmed,
      advertisementIntervalMs: intervalMs,
    })
  }

  #send(report: Report): void {
    this.#tally.begun(report)
    const sent = this.#deadlines
      .run((signal) => this.#parts.sink.send(report, signal))
      .then(
        () => {
          this.#tally.ended(report)
          this.#outbox.ended(report)
        },
        (error: unknown) => {
          this.#failed(report, error)
        },
      )
      .then(() => {
        this.#underWay.delete(sent)
        this.#makeRoom()
        this.#pump()
      })
    this.#underWay.add(sent)
  }

  #failed(report: Report, error: unknown): void {
    if (this.#isEnding()) return
    if (this.#tally.failed(report, error)) this.#outbox.ended(report)
    else this.#outbox.failed(report, performance.now(), (failures) => pauseAfter(failures, firstPauseMs, maxPauseMs))
  }

  #makeRoom(): void {
    this.#roomMade.resolve(undefined)
    this.#roomMade = Promise.withResolvers()
  }

  async #keep(): Promise<void> {
    try {
      await this.#cursor.keep(this.#outbox.deliveredSeq)
    } catch (error) {
      // What is sent again because of it is dropped by who has it.
      this.#tally.note(error)
    }
  }
}

const calm: Smoothing = (_report, { nowMs, flapsUntilMs }: Past) =>
  flapsUntilMs !== undefined && flapsUntilMs > nowMs ? { untilMs: flapsUntilMs } : 'now'
