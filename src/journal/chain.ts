import { genesisHash, parseRecord, recordHash } from './record.ts'

/** A row of the table `records`: the text, its hash, and the columns that queries use. */
export interface Row {
  readonly seq: number
  readonly router: string | null
  readonly kind: string
  readonly wallMs: number
  readonly hash: string
  readonly record: string
}

/** The place in a chain up to which all is well. */
export interface ChainPoint {
  readonly seq: number
  readonly hash: string
}

export type Verdict =
  | {
      readonly ok: true
      readonly records: number
      readonly fromSeq: number
      readonly toSeq: number
      /** Hash of the last record: noted elsewhere, it also proves that nothing was cut off at the end. */
      readonly hash: string
    }
  | { readonly ok: false; readonly brokenAtSeq: number; readonly reason: string }

export type Break = Extract<Verdict, { ok: false }>

/** How far a walk along the chain has come. A plain value: it travels between threads, one step at a time. */
export interface Walk extends ChainPoint {
  readonly records: number
  readonly fromSeq: number | undefined
  /** What the newest retention record so far says about where the chain starts. */
  readonly start: ChainPoint
}

export type WalkStep =
  { readonly done: false; readonly walk: Walk } | { readonly done: true; readonly verdict: Verdict }

export const genesis: ChainPoint = { seq: 0, hash: genesisHash }

export const walkStart: Walk = { ...genesis, records: 0, fromSeq: undefined, start: genesis }

/** The point after `row` when it is whole and follows `point`; otherwise what is wrong with it. */
export function follow(point: ChainPoint, row: Row, journal: string): ChainPoint | Break {
  const broken = (reason: string): Break => ({ ok: false, brokenAtSeq: row.seq, reason })
  if (recordHash(row.record) !== row.hash) return broken('its text does not have the hash that is stored with it')
  const record = parseRecord(row.record, row.hash)
  if (record === undefined) return broken('its text is not a record')
  if (record.seq !== row.seq) return broken(`it is stored as ${row.seq} but says that it is ${record.seq}`)
  if ((record.router ?? null) !== row.router || record.kind !== row.kind || record.at.wallMs !== row.wallMs) {
    return broken('the columns router, kind, wall_ms differ from its text')
  }
  if (record.epoch.journal !== journal) return broken(`it belongs to journal ${record.epoch.journal}, not ${journal}`)
  if (record.previous !== point.hash) {
    return broken(`it does not follow record ${point.seq}: one in between was removed, inserted or changed`)
  }
  return { seq: row.seq, hash: row.hash }
}

export const isBreak = (result: ChainPoint | Break): result is Break => 'reason' in result
