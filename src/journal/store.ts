import type { DatabaseSync } from 'node:sqlite'
import { KeepwardError } from '../base/error.ts'
import { systemClock } from '../base/instant.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import type { ChainPoint, Walk, WalkStep } from './chain.ts'
import { cursors, diskFull, figure, ioError, journalError, openForWriting, resultCode } from './file.ts'
import type {
  CommitAnswer,
  CommitAsk,
  CursorAsk,
  FileFigures,
  OpenAnswer,
  OpenAsk,
  ReadAsk,
  StoredRecord,
} from './protocol.ts'
import { canonicalJson, recordHash, recordText } from './record.ts'
import { copyJournal, logOf, type Place } from './renew.ts'
import { contentBytes, removeOldest } from './retention.ts'
import { makeReader } from './select.ts'
import type { Epoch, Line, Origin } from './record.ts'
import { checkTail, readTail } from './tail.ts'
import { readMeta, rowColumns, walkOn } from './verify.ts'

/** The journal file in the hands of its one writer. Every call blocks its thread and throws `journal-failed`. */
export class Store {
  readonly #place: Place
  readonly #file: string
  readonly #origin: Origin
  #db: DatabaseSync
  #statements: Statements
  #inodes: string
  /** The end of the chain; undefined when a failed commit may have left something behind it. */
  #tail: ChainPoint | undefined
  #figures: FileFigures
  /** Lines written since the figures were taken. */
  #unmeasured = 0
  #failures = 0
  /** The file counts this start. */
  #begun = false
  /** The disk reported an error: what the files have beyond the page cache is unknown. */
  #suspect: boolean

  constructor(ask: OpenAsk) {
    this.#place = { dir: SafeDir.again(ask.directory), name: ask.name }
    this.#file = this.#place.dir.pathOf(ask.name)
    this.#db = this.#open(ask.resume !== undefined)
    try {
      this.#suspect = !settleLog(this.#db)
      this.#origin = { agent: ask.agent, boot: ask.boot, epoch: ask.resume ?? nextEpoch(this.#db) }
      this.#statements = prepare(this.#db)
      if (ask.resume === undefined) this.#tail = checkTail(this.#db)
      else this.#checkOwner()
      this.#inodes = this.#findInodes()
      this.#figures = this.#measure()
    } catch (error) {
      this.close()
      throw journalError(this.#file, 'open', error)
    }
  }

  /** What a new main thread must know. */
  opened(): OpenAnswer {
    const rows = this.#db.prepare('SELECT router, router_seq, head_hash, head_record FROM routers').all()
    return {
      epoch: this.#origin.epoch,
      tail: this.#tail ?? readTail(this.#db),
      heads: rows
        .filter((row) => row['head_record'] !== null)
        .map((row) => ({ text: String(row['head_record']), hash: String(row['head_hash']) })),
      routerSeqs: rows.map((row) => [String(row['router']), Number(row['router_seq'])]),
      ...this.#figures,
    }
  }

  /**
   * One durable transaction for all lines. Asked again with the same lines after an error it writes them once, since
   * nobody has been told of a record behind `afterSeq`. For the same reason lines that became late only while the disk
   * was busy with them are written anew, marked.
   */
  commit(ask: CommitAsk): CommitAnswer {
    try {
      for (;;) {
        const written = this.#transaction(ask)
        this.#failures = 0
        const nowMs = systemClock().monoMs
        if (ask.lines.filter((line) => line.lateAtMs < nowMs).length === written.lateSeqs.length) return written
        this.#tail = undefined
      }
    } catch (error) {
      this.#tail = undefined
      this.#failures += 1
      this.#suspect ||= resultCode(error) === ioError
      throw journalError(this.#file, 'write', error)
    }
  }

  /** Rows that do not have their hash are refused, not served. */
  read(ask: ReadAsk): StoredRecord[] {
    try {
      return this.#statements.read(ask).map(({ seq, hash, record }) => {
        const stored = { text: String(record), hash: String(hash) }
        if (recordHash(stored.text) === stored.hash) return stored
        const message = `Record ${String(seq)} of journal ${this.#file} does not have its hash`
        throw new KeepwardError('journal-failed', message, { hint: 'verify the journal' })
      })
    } catch (error) {
      throw journalError(this.#file, 'read', error)
    }
  }

  /** How far somebody has read, 0 at first; put there, it is durable. */
  cursor({ name, seq }: CursorAsk): number {
    try {
      // A file of an earlier version has none; one that is there costs nothing.
      this.#db.exec(cursors)
      if (seq === undefined)
        return Number(this.#db.prepare('SELECT seq FROM cursors WHERE name = ?').get(name)?.['seq'] ?? 0)
      this.#db
        .prepare('INSERT INTO cursors VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq')
        .run(name, seq)
      return seq
    } catch (error) {
      throw journalError(this.#file, seq === undefined ? 'read' : 'write', error)
    }
  }

  walkOn(walk: Walk): WalkStep {
    try {
      return walkOn(this.#db, walk, 500)
    } catch (error) {
      throw journalError(this.#file, 'read', error)
    }
  }

  close(): void {
    this.#db.close()
    this.#place.dir.close()
  }

  #open(mustExist: boolean): DatabaseSync {
    try {
      return openForWriting(this.#place, mustExist)
    } catch (error) {
      this.#place.dir.close()
      throw error
    }
  }

  #transaction(ask: CommitAsk): CommitAnswer {
    if (this.#suspect || this.#failures >= reopenAfter || !this.#db.isOpen) this.#reopen()
    this.#checkInodes()
    const statements = this.#statements
    statements.begin.run()
    try {
      const tail = this.#tail ?? this.#takeBack(ask.afterSeq)
      if (tail.seq !== ask.afterSeq) throw lost(this.#file, ask.afterSeq, tail.seq)
      if (!this.#begun) this.#db.prepare('UPDATE meta SET starts = ?').run(this.#origin.epoch.start)
      const { answer, tail: newTail } = this.#write(ask, tail)
      statements.commit.run()
      this.#begun = true
      this.#tail = newTail
      this.#unmeasured += ask.lines.length
      if (ask.retain !== undefined || this.#unmeasured > 250 || this.#figures.oldest === undefined) {
        this.#figures = this.#measure()
      }
      return { ...answer, ...this.#figures }
    } catch (error) {
      if (this.#db.isTransaction) statements.rollback.run()
      throw error
    }
  }

  #write(
    { lines, retain }: CommitAsk,
    from: ChainPoint,
  ): { answer: Omit<CommitAnswer, keyof FileFigures>; tail: ChainPoint } {
    let tail = from
    let hashes = ''
    const lateSeqs: number[] = []
    const bodies: [number, string][] = []
    const nowMs = systemClock().monoMs
    for (const given of lines) {
      const line =
        given.kind === 'retention' && retain !== undefined
          ? { ...given, body: canonicalJson(removeOldest(this.#db, retain, from)) }
          : given
      if (line !== given) bodies.push([line.seq, line.body])
      const late = line.lateAtMs < nowMs
      if (late) lateSeqs.push(line.seq)
      const text = recordText(line, this.#origin, tail.hash, late)
      tail = { seq: line.seq, hash: recordHash(text) }
      hashes += tail.hash
      this.#insert(line, tail.hash, text)
    }
    return { answer: { hashes, lateSeqs, bodies }, tail }
  }

  #insert(line: Line, hash: string, text: string): void {
    const { insert, putHead, putRouterSeq } = this.#statements
    insert.run(line.seq, line.router ?? null, line.kind, line.wallMs, hash, text)
    if (line.router === undefined || line.routerSeq === undefined) return
    if (line.kind === 'transition') putHead.run(line.router, line.routerSeq, hash, text)
    else putRouterSeq.run(line.router, line.routerSeq)
  }

  /** Undo what a commit that reported an error may have left; the asker has acknowledged nothing behind `afterSeq`. */
  #takeBack(afterSeq: number): ChainPoint {
    this.#db.prepare('DELETE FROM records WHERE seq > ?').run(afterSeq)
    return readTail(this.#db)
  }

  /** The file that is opened again must be the one that this start began with. */
  #checkOwner(): void {
    const { journal, starts } = readMeta(this.#db)
    const { epoch } = this.#origin
    if (journal === epoch.journal && (starts === epoch.start || starts === epoch.start - 1)) return
    const message = `${this.#file} is now journal ${journal} in its start ${starts}, not ${epoch.journal} in ${epoch.start}`
    throw new KeepwardError('journal-failed', message, { hint: 'put the file back, or restart the agent' })
  }

  /** Records written to a file that has no name any more would be durable nowhere. */
  #checkInodes(): void {
    if (this.#findInodes() === this.#inodes) return
    const message = `Journal ${this.#file} or its -wal file was removed or replaced while in use`
    throw new KeepwardError('journal-failed', message, {
      hint: 'put it back, or restart the agent to begin a new journal',
    })
  }

  #findInodes(): string {
    const { dir, name } = this.#place
    return [name, logOf(name)].map((file) => dir.look(file)?.ino).join()
  }

  /** The way out of whatever state the old connection is in. */
  #reopen(): void {
    if (this.#db.isOpen) {
      if (this.#suspect) copyJournal(this.#db, this.#place)
      this.#db.close()
    }
    this.#db = openForWriting(this.#place, true)
    this.#statements = prepare(this.#db)
    this.#checkOwner()
    this.#inodes = this.#findInodes()
    this.#begun = false
    this.#suspect = false
  }

  #measure(): FileFigures {
    this.#unmeasured = 0
    const row = this.#db.prepare('SELECT seq, wall_ms FROM records ORDER BY seq LIMIT 1').get()
    const oldest = row && { seq: Number(row['seq']), wallMs: Number(row['wall_ms']) }
    return { sizeBytes: contentBytes(this.#db), oldest }
  }
}

/** So many commits in a row must fail before the file is opened again. */
const reopenAfter = 5

type Statements = ReturnType<typeof prepare>

function prepare(db: DatabaseSync) {
  return {
    begin: db.prepare('BEGIN IMMEDIATE'),
    commit: db.prepare('COMMIT'),
    rollback: db.prepare('ROLLBACK'),
    insert: db.prepare(`INSERT INTO records (${rowColumns}) VALUES (?, ?, ?, ?, ?, ?)`),
    putHead: db.prepare(`INSERT INTO routers VALUES (?, ?, ?, ?) ON CONFLICT (router) DO UPDATE
      SET router_seq = excluded.router_seq, head_hash = excluded.head_hash, head_record = excluded.head_record`),
    putRouterSeq: db.prepare(`INSERT INTO routers VALUES (?, ?, NULL, NULL) ON CONFLICT (router) DO UPDATE
      SET router_seq = excluded.router_seq`),
    read: makeReader(db),
  }
}

/** Counted in the file by the first commit: a full disk must not keep an agent from starting. */
function nextEpoch(db: DatabaseSync): Epoch {
  const { journal, starts } = readMeta(db)
  return { journal, start: starts + 1 }
}

/** Move the log of an earlier start, which may have died of a failing disk, into the file. False when the disk refuses it. */
function settleLog(db: DatabaseSync): boolean {
  try {
    return figure(db, 'PRAGMA wal_checkpoint(TRUNCATE)') === 0
  } catch (error) {
    if (resultCode(error) === ioError || resultCode(error) === diskFull) return false
    throw error
  }
}

const lost = (file: string, wanted: number, found: number): KeepwardError =>
  new KeepwardError('journal-failed', `Journal ${file} ends at record ${found}, but ${wanted} was acknowledged`, {
    hint: 'was the file restored from a copy while in use? restart the agent',
  })
