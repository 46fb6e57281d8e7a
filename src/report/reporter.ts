import { setTimeout as wait } from 'node:timers/promises'
import { describeError, KeepwardError } from '../base/error.ts'
import type { Journal } from '../journal/journal.ts'
import { Cursor } from './cursor.ts'
import { Outbox, type Due, type OutboxFigures } from './outbox.ts'
import type { Delivery, Report } from './report.ts'
import type { Past, Sink, SinkState, Smoothing } from './sink.ts'

export interface ReporterParts {
  readonly journal: Pick<Journal, 'heads' | 'status' | 'tail' | 'subscribe'>
  readonly sink: Sink
  readonly cursor: Cursor
  readonly delivery: Delivery
  /** How often the newest of each router is told once more, milliseconds. */
  readonly repeatMs: number
  /** Until when nothing is to be said of a flapping router, of the monotonic clock; undefined: it may be. */
  readonly heldUntilMs: (router: string) => number | undefined
}

export interface ReporterStatus extends OutboxFigures {
  readonly state: SinkState
  /** What it does not take, by router. */
  readonly refused: ReadonlyMap<string, string>
  readonly delivered: number
  readonly lastError: string | undefined
}

const sendDeadlineMs = 10_000
const keepEveryMs = 1000
const firstPauseMs = 500
const maxPauseMs = 30_000
/** Of a sink that wants every record: what is read ahead of it. */
const maxWaiting = 10_000

/**
 * Has one sink hear what the journal tells, from where it was the last time: at least once, of each router in order, for as long as it
 * takes. What it does not take is set aside and holds up nothing.
 */
export class Reporter implements AsyncDisposable {
  readonly #parts: ReporterParts
  readonly #outbox: Outbox
  readonly #ending = new AbortController()
  readonly #refused = new Map<string, string>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #timers: NodeJS.Timeout[]
  readonly #ignoreState: () => void
  readonly #reading: Promise<void>
  #roomMade = Promise.withResolvers<undefined>()
  #pumpTimer: NodeJS.Timeout | undefined
  #state: SinkState = {
    trouble: { kind: 'unreachable', text: 'it has not said that it is there' },
    insecure: undefined,
  }
  /** By router, the newest that the other end has confirmed. */
  readonly #confirmed = new Map<string, Report>()
  #lastError: string | undefined
  #delivered = 0

  private constructor(parts: ReporterParts, after: number) {
    this.#parts = parts
    this.#outbox = new Outbox(parts.delivery, after, parts.journal.heads.values())
    this.#timers = [
      setInterval(() => void this.#keep(), keepEveryMs),
      setInterval(() => {
        this.#repeat()
      }, parts.repeatMs),
    ]
    this.#ignoreState = parts.sink.onState((state) => {
      const wasThere = this.#isThere
      this.#state = state
      if (wasThere || !this.#isThere) return
      this.#outbox.resume()
      this.#repeat()
    })
    this.#reading = this.#read()
  }

  /** Throws what reading the cursor throws. */
  static async start(parts: ReporterParts): Promise<Reporter> {
    // A journal that was put back from a copy may be shorter than what was sent.
    return new Reporter(parts, Math.min(await parts.cursor.read(), parts.journal.tail.seq))
  }

  get status(): ReporterStatus {
    return {
      ...this.#outbox.figures(performance.now()),
      state: this.#state,
      refused: this.#refused,
      delivered: this.#delivered,
      lastError: this.#lastError,
    }
  }

  /** What is under way is given up; it is sent again by whoever comes next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    for (const timer of this.#timers) clearInterval(timer)
    clearTimeout(this.#pumpTimer)
    this.#roomMade.resolve(undefined)
    this.#ignoreState()
    await Promise.all([this.#reading, ...this.#underWay])
    await this.#keep()
    await this.#parts.sink.close()
  }

  async #read(): Promise<void> {
    const { journal } = this.#parts
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        for await (const record of journal.subscribe({ after: this.#outbox.readSeq, signal })) {
          this.#outbox.read(record, performance.now())
          this.#pump()
          while (this.#isFull && !signal.aborted) await this.#roomMade.promise
        }
        // The journal has closed.
        return
      } catch (error) {
        this.#readOn(error)
        if (!signal.aborted) await wait(firstPauseMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Behind what it has not read in time, or what retention took. */
  #readOn(error: unknown): void {
    const code = error instanceof KeepwardError ? error.code : undefined
    if (code === 'subscriber-too-slow') return
    this.#lastError = describeError(error)
    if (code === 'records-removed') this.#outbox.skip(this.#parts.journal.status.retainedFromSeq - 1)
  }

  get #isThere(): boolean {
    return this.#state.trouble === undefined
  }

  get #isFull(): boolean {
    return this.#outbox.waiting >= maxWaiting
  }

  #repeat(): void {
    this.#outbox.repeat(performance.now())
    this.#pump()
  }

  #pump(): void {
    clearTimeout(this.#pumpTimer)
    while (this.#isThere && !this.#ending.signal.aborted && this.#underWay.size < this.#parts.sink.width) {
      const nowMs = performance.now()
      const due = this.#outbox.next(nowMs)
      if (due === undefined) break
      this.#weigh(due, nowMs)
    }
    const { nextMs } = this.#outbox
    if (nextMs === undefined || this.#ending.signal.aborted) return
    this.#pumpTimer = setTimeout(
      () => {
        this.#pump()
      },
      Math.max(1, nextMs - performance.now()),
    )
  }

  #weigh({ report, firstMs }: Due, nowMs: number): void {
    const { sink, heldUntilMs } = this.#parts
    const flapsUntilMs = heldUntilMs(report.router)
    const confirmed = this.#confirmed.get(report.router)
    // A sink that may have lost everything is told again, whatever it has confirmed.
    const verdict = (sink.smoothing ?? calm)(report, {
      ...{ nowMs, firstMs, flapsUntilMs },
      confirmed: report.isRepeat ? undefined : confirmed,
    })
    if (verdict === 'now') this.#send(report)
    else if (verdict === 'known') this.#outbox.ended(report)
    else this.#outbox.held(report, verdict.untilMs)
  }

  #send(report: Report): void {
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(sendDeadlineMs)])
    const sent = this.#parts.sink
      .send(report, signal)
      .then(
        () => {
          this.#refused.delete(report.router)
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
        this.#roomMade.resolve(undefined)
        this.#roomMade = Promise.withResolvers()
        this.#pump()
      })
    this.#underWay.add(sent)
  }

  #failed(report: Report, error: unknown): void {
    if (this.#ending.signal.aborted) return
    this.#lastError = describeError(error)
    if (!(error instanceof KeepwardError && error.code === 'report-refused')) {
      this.#outbox.failed(report, performance.now(), pauseMs)
      return
    }
    this.#refused.set(report.router, this.#lastError)
    this.#outbox.ended(report)
  }

  async #keep(): Promise<void> {
    try {
      await this.#parts.cursor.keep(this.#outbox.deliveredSeq)
    } catch (error) {
      // What is sent again because of it is dropped by who has it.
      this.#lastError = describeError(error)
    }
  }
}

const calm: Smoothing = (_report, { nowMs, flapsUntilMs }: Past) =>
  flapsUntilMs !== undefined && flapsUntilMs > nowMs ? { untilMs: flapsUntilMs } : 'now'

/** Between half of it and all of it, so that many agents do not come back at one moment. */
const pauseMs = (failures: number): number =>
  Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 10)) * (0.5 + Math.random() / 2)
