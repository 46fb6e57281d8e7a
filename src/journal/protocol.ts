import type { ErrorCode } from '../base/error.ts'
import type { DirectoryHandle } from '../linux/safe-dir.ts'
import type { ChainPoint, Walk, WalkStep } from './chain.ts'
import type { Epoch, Line, RecordKind } from './record.ts'

/** What the main thread asks of the worker, and what it gets back. Flat values only: structured cloning is the cost. */
export interface Calls {
  readonly open: { readonly ask: OpenAsk; readonly answer: OpenAnswer }
  readonly commit: { readonly ask: CommitAsk; readonly answer: CommitAnswer }
  readonly read: { readonly ask: ReadAsk; readonly answer: readonly StoredRecord[] }
  readonly verify: { readonly ask: Walk; readonly answer: WalkStep }
  readonly cursor: { readonly ask: CursorAsk; readonly answer: number }
  readonly close: { readonly ask: null; readonly answer: null }
}

export interface OpenAsk {
  /** Open at least until the answer. */
  readonly directory: DirectoryHandle
  readonly name: string
  readonly agent: string
  readonly boot: string
  /** Set when a new worker takes over within one start: the file must be there and still be ours. */
  readonly resume: Epoch | undefined
}

export interface OpenAnswer extends FileFigures {
  readonly epoch: Epoch
  readonly tail: ChainPoint
  readonly heads: readonly StoredRecord[]
  readonly routerSeqs: readonly (readonly [router: string, routerSeq: number])[]
}

export interface CommitAsk {
  /** In order of seq, at least one. */
  readonly lines: readonly Line[]
  /** The last acknowledged record; whatever a failed attempt left behind it is replaced. */
  readonly afterSeq: number
  /** Carried out by the `retention` line, if there is one. */
  readonly retain: Retain | undefined
}

export interface Retain {
  /** Remove what happened before this wall time. */
  readonly beforeWallMs: number
  /** Remove the oldest tenth when the file's content is larger. */
  readonly sizeBytes: number
}

export interface CommitAnswer extends FileFigures {
  /** 64 hexadecimal digits per line, joined; the first line's `previous` is known to the asker. */
  readonly hashes: string
  readonly lateSeqs: readonly number[]
  /** Bodies that the worker filled in. */
  readonly bodies: readonly (readonly [seq: number, body: string])[]
}

/** Retention never removes the newest records, whatever their age and size. */
export const keptAtLeast = 100

export interface FileFigures {
  /** Pages in use, without the write-ahead log. */
  readonly sizeBytes: number
  /** Undefined when there is no record. */
  readonly oldest: { readonly seq: number; readonly wallMs: number } | undefined
}

export interface ReadAsk {
  /** Exclusive. */
  readonly after: number
  /** Inclusive. */
  readonly until: number
  /** `null`: records that are of none. */
  readonly router: string | null | undefined
  readonly kind: RecordKind | undefined
  readonly limit: number
  readonly newestFirst: boolean
}

export interface CursorAsk {
  /** Whose it is. */
  readonly name: string
  /** Where it is put; undefined: it is only read. */
  readonly seq: number | undefined
}

export interface StoredRecord {
  readonly text: string
  readonly hash: string
}

export type Request = {
  [Kind in keyof Calls]: { readonly id: number; readonly kind: Kind; readonly ask: Calls[Kind]['ask'] }
}[keyof Calls]

export type Reply =
  | { readonly id: number; readonly ok: true; readonly answer: unknown }
  | { readonly id: number; readonly ok: false; readonly error: WireError }

/** A KeepwardError between threads; structured cloning keeps no fields of our own. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | undefined
}
