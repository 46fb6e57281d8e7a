import { KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { walkStart } from './chain.ts'
import type { ChainPoint, Verdict } from './chain.ts'
import { WorkerLink } from './link.ts'
import type { ReadAsk, StoredRecord } from './protocol.ts'
import { parseRecord } from './record.ts'
import type { Entry, Epoch, JournalRecord, RecordKind } from './record.ts'
import { subscribe } from './subscription.ts'
import type { Feed, SubscribeQuery } from './subscription.ts'
import { Writer } from './writer.ts'
import type { Appended, JournalStatus } from './writer.ts'

export interface JournalOptions {
  /** Stays open as long as the journal. */
  readonly dir: SafeDir
  /** The file's, made with mode 0600 if it is not there. */
  readonly name: string
  /** Agent id, part of every record. */
  readonly agent: string
  /** Kernel boot id, part of every record. */
  readonly boot: string
  readonly clock: Clock
  readonly retain: { readonly days: number; readonly sizeBytes: number }
  /** A record not durable this long after its `at` is late, and the journal unavailable; 100 unless said. */
  readonly lateAfterMs?: number
  /** How many entries may wait for the disk; 10 000 unless said. */
  readonly maxPending?: number
}

/**
 * The durable, ordered record of what happened. Appending never blocks; a worker thread commits whatever arrived during the
 * last fsync. It locks its file: nobody else can open it meanwhile.
 */
export interface Journal {
  readonly epoch: Epoch
  /** The newest transition of each router when the file was opened; retention does not touch them. */
  readonly heads: ReadonlyMap<string, JournalRecord>
  /** The newest durable transition of each router, now; retention does not touch them. */
  readonly newest: ReadonlyMap<string, JournalRecord>
  readonly status: JournalStatus
  /** The newest durable record; sequence 0 in an empty file. */
  readonly tail: ChainPoint
  /** Takes its place in the order at once. Throws `request-invalid` for a body that is no JSON or too long. */
  append(entry: Entry): Appended
  /** Durable records, ascending unless `newestFirst`. Throws `journal-failed` when the disk does not answer within 5 s. */
  read(query: ReadQuery): Promise<JournalRecord[]>
  /** See {@link subscribe}. */
  subscribe(query: SubscribeQuery): AsyncGenerator<JournalRecord, void, undefined>
  /** How far a reader of that name has come: what was kept last, 0 at first. Throws `journal-failed`. */
  cursor(name: string): Promise<number>
  /** Durable once it resolves. Throws `journal-failed`. */
  keepCursor(name: string, seq: number): Promise<void>
  /** Walks the whole chain in small steps between commits. */
  verify(): Promise<Verdict>
  /** Called whenever the journal becomes unavailable or ok again; returns how to stop. */
  onStatus(listener: (status: JournalStatus) => void): () => void
  /** Takes no more entries, writes what it can within `deadlineMs`, rejects the rest, ends subscriptions. */
  close(deadlineMs: number): Promise<void>
}

export interface ReadQuery {
  /** Exclusive; 0 unless said. */
  readonly after?: number
  /** Inclusive. */
  readonly until?: number
  /**
   * What is of that router, with `newestFirst` also what was said of it lately while it did not run here; `null`: all that is of
   * no router.
   */
  readonly router?: string | null
  readonly kind?: RecordKind
  /** 1 to 1000. */
  readonly limit: number
  readonly newestFirst?: boolean
}

/** Throws `journal-failed`, `journal-too-new`, `file-unsafe` or `state-in-use`; a file that is not a whole journal is never replaced. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { dir, name, agent, boot } = options
  const link = new WorkerLink({ directory: dir.handle, name, agent, boot })
  try {
    const opened = await link.open(openDeadlineMs)
    const heads = new Map(opened.heads.map(parseStored).map((record) => [record.router ?? '', record]))
    return new OpenJournal(new Writer(options, link, opened), link, heads)
  } catch (error) {
    await link.stop(stopDeadlineMs)
    throw error
  }
}

export type { Appended, JournalStatus, SubscribeQuery, Verdict }

const openDeadlineMs = 10_000
const readDeadlineMs = 5000
const stopDeadlineMs = 1000

class OpenJournal implements Journal {
  readonly heads: ReadonlyMap<string, JournalRecord>
  readonly #newest: Map<string, JournalRecord>
  readonly #writer: Writer
  readonly #link: WorkerLink
  #closed: Promise<void> | undefined

  constructor(writer: Writer, link: WorkerLink, heads: ReadonlyMap<string, JournalRecord>) {
    this.heads = heads
    this.#newest = new Map(heads)
    this.#writer = writer
    this.#link = link
    writer.listen((record) => {
      if (record?.kind === 'transition' && record.router !== undefined) this.#newest.set(record.router, record)
    })
  }

  get newest(): ReadonlyMap<string, JournalRecord> {
    return this.#newest
  }

  get epoch(): Epoch {
    return this.#writer.epoch
  }

  get status(): JournalStatus {
    return this.#writer.status
  }

  get tail(): ChainPoint {
    return this.#writer.tail
  }

  append(entry: Entry): Appended {
    return this.#writer.append(entry)
  }

  read(query: ReadQuery): Promise<JournalRecord[]> {
    const { after = 0, until = Infinity, router, kind, limit, newestFirst = false } = query
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new KeepwardError('request-invalid', `Cannot read ${limit} records at once: limit must be 1 to 1000`)
    }
    return this.#read({ after, until, router, kind, limit, newestFirst }, readDeadlineMs)
  }

  subscribe(query: SubscribeQuery): AsyncGenerator<JournalRecord, void, undefined> {
    const writer = this.#writer
    const feed: Feed = {
      get durableSeq() {
        return writer.status.durableSeq
      },
      get removedThroughSeq() {
        return writer.status.retainedFromSeq - 1
      },
      // No deadline: a subscriber waits out a disk that stalls.
      read: (page) => this.#read({ ...page, kind: undefined, newestFirst: false }, undefined),
      listen: (listener) => writer.listen(listener),
    }
    return subscribe(feed, query)
  }

  cursor(name: string): Promise<number> {
    return this.#link.call('cursor', { name, seq: undefined }, readDeadlineMs)
  }

  async keepCursor(name: string, seq: number): Promise<void> {
    await this.#link.call('cursor', { name, seq }, readDeadlineMs)
  }

  async verify(): Promise<Verdict> {
    for (let walk = walkStart; ;) {
      const step = await this.#link.call('verify', walk, readDeadlineMs)
      if (step.done) return step.verdict
      walk = step.walk
    }
  }

  onStatus(listener: (status: JournalStatus) => void): () => void {
    return this.#writer.onStatus(listener)
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs)
    return this.#closed
  }

  async #close(deadlineMs: number): Promise<void> {
    const startedMs = performance.now()
    const leftMs = () => Math.max(1, deadlineMs - (performance.now() - startedMs))
    const reason = await this.#writer.finish(deadlineMs)
    // Moving the log into the file is a courtesy to whoever copies the file; the log is as durable.
    if (reason === 'written') await this.#link.call('close', null, leftMs()).catch(() => undefined)
    await this.#link.stop(leftMs())
    this.#writer.abandon()
  }

  async #read(ask: ReadAsk, deadlineMs: number | undefined): Promise<JournalRecord[]> {
    const until = Math.min(ask.until, this.#writer.status.durableSeq)
    return (await this.#link.call('read', { ...ask, until }, deadlineMs)).map(parseStored)
  }
}

function parseStored({ text, hash }: StoredRecord): JournalRecord {
  const record = parseRecord(text, hash)
  if (record !== undefined) return record
  throw new KeepwardError('journal-failed', `The journal holds a text that is no record: ${text.slice(0, 100)}`)
}
