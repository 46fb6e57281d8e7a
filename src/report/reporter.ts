import { describeError, KeepwardError } from '../base/error.ts'
import type { Journal } from '../journal/journal.ts'
import { Cursor } from './cursor.ts'
import { Deadlines } from './deadlines.ts'
import { takeIn } from './intake.ts'
import { Outbox, type Due, type OutboxFigures } from './outbox.ts'
import { pauseAfter } from './pace.ts'
import type { Delivery, Report } from './report.ts'
import type { Heartbeat, Past, Sink, SinkState, Smoothing } from './sink.ts'

export interface ReporterParts {
  readonly journal: Pick<Journal, 'newest' | 'status' | 'subscribe' | 'cursor' | 'keepCursor'>
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

export interface ReporterStatus extends OutboxFigures {
  readonly state: SinkState
  /** What it does not take, by router. */
  readonly refused: ReadonlyMap<string, string>
  readonly delivered: number
  /** Tries that were in vain. */
  readonly failures: number
  readonly lastError: string | undefined
  /** For how long it cannot be sent to, milliseconds; 0: it can. */
  readonly awayMs: number
}

const sendDeadlineMs = 10_000
const keepEveryMs = 1000
const beatEveryMs = 5000
const firstPauseMs = 500
const maxPauseMs = 30_000
/** Of a sink that wants every record: what is read ahead of it. */
const maxWaiting = 10_000
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
  readonly #refused = new Map<string, string>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #attempts = new Set<Promise<void>>()
  readonly #timers: NodeJS.Timeout[]
  readonly #ignoreState: () => void
  readonly #reading: Promise<void>
  #roomMade = Promise.withResolvers<undefined>()
  #pumpTimer: NodeJS.Timeout | undefined
  #settleTimer: NodeJS.Timeout | undefined
  #state: SinkState = {
    trouble: { kind: 'unreachable', text: 'it has not said that it is there' },
    insecure: undefined,
  }
  /** By router, the newest that the other end has confirmed. */
  readonly #confirmed = new Map<string, Report>()
  #lastError: string | undefined
  #delivered = 0
  #failures = 0
  #connections = 0
  #awaySinceMs: number | undefined = performance.now()
  readonly #cursor: Cursor

  private constructor(parts: ReporterParts, cursor: Cursor) {
    this.#parts = parts
    this.#cursor = cursor
    this.#outbox = new Outbox(parts.delivery, cursor.seq, parts.journal.newest.values(), performance.now())
    this.#timers = [
      setInterval(() => void this.#keep(), keepEveryMs),
      setInterval(this.#repeat.bind(this), parts.repeatMs),
      setInterval(this.#beat.bind(this), beatEveryMs),
    ]
    this.#ignoreState = parts.sink.onState((state) => {
      const wasThere = this.#isThere()
      this.#state = state
      this.#awaySinceMs = state.trouble === undefined ? undefined : (this.#awaySinceMs ?? performance.now())
      if (wasThere || !this.#isThere()) return
      this.#outbox.resume()
      this.#beat()
      // An end that is asked anew for each report has lost nothing by being away for a moment.
      if (this.#connections++ === 0 || parts.sink.isConnectionless !== true) this.#repeatTwice()
      this.#pump()
    })
    this.#reading = takeIn({
      ...{ journal: parts.journal, outbox: this.#outbox, signal: this.#ending.signal },
      onRead: (router) => {
        this.#hasten(router)
        this.#pump()
        return this.#outbox.waiting < maxWaiting ? undefined : this.#untilRoom()
      },
      onError: (error) => (this.#lastError = describeError(error)),
    })
  }

  /** Throws `journal-failed` when the journal does not say how far the sink has come. */
  static async start(parts: ReporterParts): Promise<Reporter> {
    return new Reporter(parts, await Cursor.read(parts.journal, parts.name))
  }

  get status(): ReporterStatus {
    const { isTried, ...state } = this.#state
    // Nothing is left that could show whether its trouble is over.
    const isUntried = isTried === true && this.#outbox.waiting === 0
    return {
      ...this.#outbox.figures(performance.now()),
      state: isUntried ? { ...state, trouble: undefined } : state,
      refused: this.#refused,
      delivered: this.#delivered,
      failures: this.#failures,
      lastError: this.#lastError,
      awayMs: this.#awaySinceMs === undefined ? 0 : performance.now() - this.#awaySinceMs,
    }
  }

  /** What is under way is given up; it is sent again by whoever comes next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    this.#deadlines.giveUp()
    for (const timer of this.#timers) clearInterval(timer)
    for (const timer of [this.#pumpTimer, this.#settleTimer]) clearTimeout(timer)
    this.#roomMade.resolve(undefined)
    this.#ignoreState()
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
    return this.#isThere() && !this.#isEnding() && this.#underWay.size < this.#parts.sink.width
  }

  #isThere(): boolean {
    return this.#state.trouble === undefined || this.#state.isTried === true
  }

  /** Now, and once what was told before the other end was there again has come to its end there. */
  #repeatTwice(): void {
    this.#repeat()
    clearTimeout(this.#settleTimer)
    const { settlesMs } = this.#parts.sink
    if (settlesMs !== undefined) this.#settleTimer = setTimeout(this.#repeat.bind(this), settlesMs)
  }

  #repeat(): void {
    if (!this.#isThere()) return
    const { journal, routers, sink } = this.#parts
    const known = routers()
    for (const router of this.#refused.keys()) if (!known.has(router)) this.#refused.delete(router)
    // What it may have lost is not known to it: where something waits, that is told instead.
    this.#confirmed.clear()
    this.#outbox.repeat(known, journal.newest, performance.now())
    this.#pump()
    this.#attempt((signal) => sink.keepOnly?.(known, signal))
  }

  #beat(): void {
    const { sink, beat } = this.#parts
    if (this.#isThere()) this.#attempt((signal) => sink.beat?.(beat(), signal))
  }

  /** What is done again on a timer may fail; it is waited for at the end. */
  #attempt(work: (signal: AbortSignal) => Promise<void> | undefined): void {
    const attempt = this.#deadlines
      .run(work)
      .catch((error: unknown) => {
        if (!this.#isEnding()) this.#lastError = describeError(error)
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
    const confirmed = isRepeat ? undefined : this.#confirmed.get(router)
    return (sink.smoothing ?? calm)(report, {
      nowMs,
      firstMs,
      flapsUntilMs,
      confirmed,
      advertisementIntervalMs: intervalMs,
    })
  }

  #send(report: Report): void {
    // Unless it is confirmed, nobody knows which of the two the other end has.
    this.#confirmed.delete(report.router)
    const sent = this.#deadlines
      .run((signal) => this.#parts.sink.send(report, signal))
      .then(
        () => {
          // To who wants each record the next one makes up for nothing: it is shown until all is told once more.
          if (report.isRepeat || this.#parts.delivery === 'latest') this.#refused.delete(report.router)
          this.#confirmed.set(report.router, report)
          this.#delivered += 1
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
    this.#lastError = describeError(error)
    this.#failures += 1
    if (!(error instanceof KeepwardError && error.code === 'report-refused')) {
      this.#outbox.failed(report, performance.now(), (failures) => pauseAfter(failures, firstPauseMs, maxPauseMs))
      return
    }
    this.#refused.set(report.router, this.#lastError)
    this.#outbox.ended(report)
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
      this.#lastError = describeError(error)
    }
  }
}

const calm: Smoothing = (_report, { nowMs, flapsUntilMs }: Past) =>
  flapsUntilMs !== undefined && flapsUntilMs > nowMs ? { untilMs: flapsUntilMs } : 'now'
