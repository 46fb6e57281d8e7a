import { KeepwardError } from '../base/error.ts'
import { systemClock } from '../base/instant.ts'
import type { Clock, Instant } from '../base/instant.ts'
import { ageLimit } from './age-limit.ts'
import type { ChainPoint } from './chain.ts'
import type { WorkerLink } from './link.ts'
import { PendingQueue } from './pending.ts'
import type { Pending } from './pending.ts'
import { keptAtLeast } from './protocol.ts'
import type { CommitAnswer, FileFigures, OpenAnswer } from './protocol.ts'
import { canonicalJson, maxBodyLength } from './record.ts'
import type { Entry, Epoch, JournalRecord, JsonObject } from './record.ts'

export interface Appended {
  readonly seq: number
  readonly routerSeq: number | undefined
  /**
   * Resolves once the record is on the disk. Rejects with `journal-full` when too much waited and a newer record
   * took its place, with `journal-failed` when the journal closed first. May be left alone.
   */
  readonly durable: Promise<JournalRecord>
}

export type JournalStatus = JournalFigures &
  ({ readonly kind: 'ok' } | { readonly kind: 'unavailable'; readonly since: Instant; readonly reason: string })

export interface JournalFigures {
  readonly pending: number
  /** `at.monoMs` of the oldest entry that waits. */
  readonly oldestPendingMonoMs: number | undefined
  readonly durableSeq: number
  readonly retainedFromSeq: number
  /** Content of the file, without the write-ahead log, of some 16 MB at most. */
  readonly sizeBytes: number
  /** Transactions since the journal was opened. */
  readonly commits: number
  /** Entries given up since the journal was opened. */
  readonly lost: number
}

export interface WriterOptions {
  readonly agent: string
  readonly boot: string
  readonly clock: Clock
  readonly retain: { readonly days: number; readonly sizeBytes: number }
  readonly lateAfterMs?: number
  readonly maxPending?: number
}

/** How many lines one transaction takes at most. */
const batchSize = 1000
const minRetryMs = 20
const maxRetryMs = 1000

/** The writing half of the journal: gives out places in the order, feeds the worker one batch at a time, tells who waits. */
export class Writer {
  readonly epoch: Epoch
  readonly #options: WriterOptions
  readonly #link: WorkerLink
  readonly #queue: PendingQueue
  readonly #lateAfterMs: number
  readonly #ageLimit: () => number
  readonly #routerSeqs: Map<string, number>
  readonly #statusListeners = new Set<(status: JournalStatus) => void>()
  readonly #recordListeners = new Set<(record: JournalRecord | undefined) => void>()
  readonly #ageTimer: NodeJS.Timeout
  #lastSeq: number
  #tail: ChainPoint
  #file: FileFigures
  #commits = 0
  #unavailable: { readonly since: Instant; readonly reason: string } | undefined
  #lateTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #retryMs = minRetryMs
  #flushing = false
  #retaining = false
  #phase: 'open' | 'finishing' | 'closed' = 'open'
  #drained = Promise.withResolvers<'written'>()

  constructor(options: WriterOptions, link: WorkerLink, opened: OpenAnswer) {
    this.epoch = opened.epoch
    this.#options = options
    this.#link = link
    this.#queue = new PendingQueue(options.maxPending ?? 10_000)
    this.#lateAfterMs = options.lateAfterMs ?? 100
    this.#ageLimit = ageLimit(options.clock, options.retain.days)
    this.#routerSeqs = new Map(opened.routerSeqs)
    this.#lastSeq = opened.tail.seq
    this.#tail = opened.tail
    this.#file = opened
    this.#ageTimer = setInterval(() => {
      this.#retain()
    }, 600_000).unref()
    this.#retain()
  }

  get status(): JournalStatus {
    const figures: JournalFigures = {
      pending: this.#queue.size,
      oldestPendingMonoMs: this.#queue.oldest?.line.monoMs,
      durableSeq: this.#tail.seq,
      retainedFromSeq: this.#file.oldest?.seq ?? this.#tail.seq + 1,
      sizeBytes: this.#file.sizeBytes,
      commits: this.#commits,
      lost: this.#queue.lost,
    }
    return this.#unavailable === undefined
      ? { kind: 'ok', ...figures }
      : { kind: 'unavailable', ...this.#unavailable, ...figures }
  }

  /** The newest durable record. */
  get tail(): ChainPoint {
    return { seq: this.#tail.seq, hash: this.#tail.hash }
  }

  append(entry: Entry): Appended {
    if (this.#phase !== 'open')
      throw new KeepwardError('journal-failed', 'The journal is closed and takes no more entries')
    const body = canonicalJson(entry.body)
    const { wallMs, monoMs } = entry.at
    if (body.length > maxBodyLength) {
      const message = `A ${entry.kind} entry has a body of ${body.length} characters, at most ${maxBodyLength} are allowed`
      throw new KeepwardError('request-invalid', message)
    }
    if (!Number.isFinite(wallMs) || !Number.isFinite(monoMs)) {
      throw new KeepwardError('request-invalid', `A ${entry.kind} entry has no valid time: ${wallMs}, ${monoMs}`)
    }
    const { kind, router } = entry
    const seq = ++this.#lastSeq
    const routerSeq = router === undefined ? undefined : (this.#routerSeqs.get(router) ?? 0) + 1
    if (router !== undefined && routerSeq !== undefined) this.#routerSeqs.set(router, routerSeq)
    // The worker cannot ask the caller's clock: it gets the deadline on the system's.
    const ageMs = Math.max(0, this.#options.clock().monoMs - monoMs)
    const lateAtMs = systemClock().monoMs + this.#lateAfterMs - ageMs
    const { promise: durable, resolve, reject } = Promise.withResolvers<JournalRecord>()
    durable.catch(() => undefined)
    this.#queue.add({
      line: { seq, kind, router, routerSeq, wallMs, monoMs, body, lateAtMs },
      entry,
      settle: { resolve, reject },
    })
    // Everything that this turn appends travels in one message.
    if (!this.#flushing && this.#retryTimer === undefined)
      queueMicrotask(() => {
        void this.#flush()
      })
    this.#watchLateness()
    return { seq, routerSeq, durable }
  }

  onStatus(listener: (status: JournalStatus) => void): () => void {
    this.#statusListeners.add(listener)
    return () => this.#statusListeners.delete(listener)
  }

  /** Each durable record in the turn in which it is known to be durable; `undefined` when the journal closes. */
  listen(listener: (record: JournalRecord | undefined) => void): () => void {
    this.#recordListeners.add(listener)
    return () => this.#recordListeners.delete(listener)
  }

  /** Take no more entries and wait until all are durable, at most `deadlineMs`. */
  async finish(deadlineMs: number): Promise<'written' | 'gave-up'> {
    this.#phase = 'finishing'
    if (this.#queue.size === 0) return 'written'
    const { promise, resolve } = Promise.withResolvers<'gave-up'>()
    const timer = setTimeout(resolve, deadlineMs, 'gave-up')
    const result = await Promise.race([this.#drained.promise, promise])
    clearTimeout(timer)
    return result
  }

  /** Reject what is not durable and end all listeners. */
  abandon(): void {
    this.#phase = 'closed'
    clearInterval(this.#ageTimer)
    clearTimeout(this.#lateTimer)
    clearTimeout(this.#retryTimer)
    this.#queue.abandon(new KeepwardError('journal-failed', 'The journal was closed before the record was on the disk'))
    for (const listener of this.#recordListeners) listener(undefined)
  }

  async #flush(): Promise<void> {
    if (this.#flushing || this.#phase === 'closed') return
    this.#flushing = true
    try {
      for (let batch = this.#queue.take(batchSize); batch.length > 0; batch = this.#queue.take(batchSize)) {
        this.#acknowledge(batch, await this.#commit(batch))
      }
    } catch (error) {
      this.#retryLater(error)
    } finally {
      this.#flushing = false
    }
  }

  #commit(batch: readonly Pending[]): Promise<CommitAnswer> {
    const retain = batch.some(({ line }) => line.kind === 'retention')
      ? { beforeWallMs: this.#ageLimit(), sizeBytes: this.#options.retain.sizeBytes }
      : undefined
    return this.#link.call('commit', { lines: batch.map(({ line }) => line), afterSeq: this.#tail.seq, retain })
  }

  #acknowledge(batch: readonly Pending[], answer: CommitAnswer): void {
    const records = this.#recordsOf(batch, answer)
    this.#file = answer
    this.#commits += 1
    this.#retryMs = minRetryMs
    this.#queue.done()
    batch.forEach(({ settle }, index) => {
      const record = records[index]
      if (record === undefined) return
      this.#tail = record
      settle.resolve(record)
      for (const listener of this.#recordListeners) listener(record)
    })
    if (this.#unavailable !== undefined && !this.#isLate()) this.#setUnavailable(undefined)
    if (this.#queue.size === 0) this.#drained.resolve('written')
    this.#retain()
  }

  #recordsOf(batch: readonly Pending[], answer: CommitAnswer): JournalRecord[] {
    const { agent, boot } = this.#options
    const bodies = new Map(answer.bodies)
    const lateSeqs = new Set(answer.lateSeqs)
    let previous = this.#tail.hash
    return batch.map(({ line, entry }, index) => {
      const filledIn = bodies.get(line.seq)
      const record: JournalRecord = {
        ...entry,
        body: filledIn === undefined ? entry.body : (JSON.parse(filledIn) as JsonObject),
        seq: line.seq,
        agent,
        epoch: this.epoch,
        boot,
        routerSeq: line.routerSeq,
        late: lateSeqs.has(line.seq),
        previous,
        hash: answer.hashes.slice(index * 64, index * 64 + 64),
      }
      previous = record.hash
      return record
    })
  }

  /** The batch stays as it is, so that a commit that failed in its last moment is repeated, not doubled. */
  #retryLater(error: unknown): void {
    if (this.#phase === 'closed') return
    this.#setUnavailable(error instanceof Error ? error.message : String(error))
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      void this.#flush()
    }, this.#retryMs)
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2)
  }

  /** Runs on this side: a worker that sleeps in the disk cannot say so. */
  #watchLateness(): void {
    const oldest = this.#queue.oldest
    if (this.#lateTimer !== undefined || this.#unavailable !== undefined || oldest === undefined) return
    const waitMs = Math.max(1, oldest.line.lateAtMs - systemClock().monoMs + 1)
    this.#lateTimer = setTimeout(() => {
      // After a long turn of this thread the answer may lie ready, unread: timers run before messages.
      setImmediate(() => {
        this.#lateTimer = undefined
        if (this.#isLate()) this.#setUnavailable(`the disk has not taken a record within ${this.#lateAfterMs} ms`)
        else this.#watchLateness()
      })
    }, waitMs).unref()
  }

  #isLate(): boolean {
    const oldest = this.#queue.oldest
    return oldest !== undefined && oldest.line.lateAtMs < systemClock().monoMs
  }

  #setUnavailable(reason: string | undefined): void {
    const since = this.#unavailable?.since ?? this.#options.clock()
    const changed = (reason === undefined) !== (this.#unavailable === undefined)
    this.#unavailable = reason === undefined ? undefined : { since, reason }
    if (!changed) return
    for (const listener of this.#statusListeners) listener(this.status)
  }

  /** Ask for one stretch of the oldest records to be removed when they are too old or too many. */
  #retain(): void {
    const { oldest, sizeBytes } = this.#file
    if (this.#phase !== 'open' || this.#retaining || oldest === undefined) return
    if (oldest.wallMs >= this.#ageLimit() && sizeBytes <= this.#options.retain.sizeBytes) return
    if (this.#tail.seq - oldest.seq < keptAtLeast) return
    this.#retaining = true
    const done = () => {
      this.#retaining = false
      this.#retain()
    }
    this.append({ kind: 'retention', router: undefined, at: this.#options.clock(), body: {} }).durable.then(done, done)
  }
}
