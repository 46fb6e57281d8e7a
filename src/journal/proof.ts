import { follow, genesis, isBreak, type Break, type ChainPoint, type Row } from './chain.ts'
import { parseRecord } from './record.ts'

/** A point of the chain that was noted elsewhere, by somebody who is believed. */
export interface Mark extends ChainPoint {
  readonly wallMs: number
}

/** What a journal was found to be, held against marks. */
export interface Proof {
  readonly ok: boolean
  readonly journal: string
  readonly records: number
  readonly fromSeq: number
  readonly toSeq: number
  /** Up to this record nothing was changed since it was noted at this time; undefined: no mark is in the journal. */
  readonly proven: { readonly seq: number; readonly wallMs: number } | undefined
  readonly broken: Break | undefined
}

/** Walks the records of a journal in their order and compares the chain with marks, which are in rising order. */
export class Prover {
  readonly #journal: string
  readonly #marks: readonly Mark[]
  #at = 0
  #point: ChainPoint = genesis
  #records = 0
  #fromSeq: number | undefined
  #proven: Mark | undefined
  /** What the newest retention record says. */
  #removal: { readonly seq: number; readonly through: ChainPoint } | undefined
  #broken: Break | undefined

  constructor(journal: string, marks: readonly Mark[]) {
    this.#journal = journal
    this.#marks = marks
  }

  /** False when the rest need not be looked at. */
  add(row: Row): boolean {
    if (this.#fromSeq === undefined) this.#begin(row)
    const next = follow(this.#point, row, this.#journal)
    if (isBreak(next)) this.#broken ??= next
    else this.#take(row, next)
    return this.#broken === undefined
  }

  end(): Proof {
    this.#broken ??= this.#beginning() ?? this.#end()
    const { seq: toSeq } = this.#point
    return {
      ok: this.#broken === undefined,
      journal: this.#journal,
      records: this.#records,
      fromSeq: this.#fromSeq ?? toSeq + 1,
      toSeq,
      proven: this.#proven && { seq: this.#proven.seq, wallMs: this.#proven.wallMs },
      broken: this.#broken,
    }
  }

  /** What is before the first record was removed by retention, or by somebody: {@link #beginning} says. */
  #begin(row: Row): void {
    this.#fromSeq = row.seq
    const previous = parseRecord(row.record, row.hash)?.previous
    if (row.seq > 1 && previous !== undefined) this.#point = { seq: row.seq - 1, hash: previous }
    while ((this.#next?.seq ?? Infinity) < this.#point.seq) this.#at += 1
    if (this.#next?.seq === this.#point.seq) this.#compare(this.#next, this.#point)
  }

  #take(row: Row, point: ChainPoint): void {
    this.#point = point
    this.#records += 1
    if (row.kind === 'retention') this.#noteRemoval(row)
    const mark = this.#next
    if (mark === undefined || mark.seq > row.seq) return
    if (mark.seq === row.seq) this.#compare(mark, point)
    else this.#break(mark.seq, `it was signed at ${timeOf(mark)} and is not there`)
  }

  #compare(mark: Mark, point: ChainPoint): void {
    this.#at += 1
    if (mark.hash === point.hash) this.#proven = mark
    else {
      const from = this.#proven === undefined ? 'one up to it' : `one of ${this.#proven.seq + 1} to ${mark.seq}`
      const was = 'was changed, removed, inserted or moved, and the chain made anew'
      this.#break(mark.seq, `it is not the one that was signed at ${timeOf(mark)}: ${from} ${was}`)
    }
  }

  #noteRemoval(row: Row): void {
    const { throughSeq, throughHash } = parseRecord(row.record, row.hash)?.body ?? {}
    if (typeof throughSeq === 'number' && typeof throughHash === 'string')
      this.#removal = { seq: row.seq, through: { seq: throughSeq, hash: throughHash } }
  }

  /** A beginning that is missing must be what a retention record says, and that record signed. */
  #beginning(): Break | undefined {
    const first = this.#fromSeq
    if (first === undefined || (first === 1 && this.#removal === undefined)) return undefined
    const { seq = 0, through = genesis } = this.#removal ?? {}
    if (through.seq !== first - 1)
      return missing(first, `the newest retention record says that it begins at ${through.seq + 1}`)
    const signed = this.#proven?.seq ?? 0
    if (this.#marks.length === 0 || seq <= signed || through.seq === 0) return undefined
    return missing(first, `the retention record ${seq} that says so was not signed, the last that was is ${signed}`)
  }

  #end(): Break | undefined {
    const last = this.#marks.at(-1)
    if (last === undefined || last.seq <= this.#point.seq) return undefined
    const reason = `it and all up to record ${last.seq}, signed at ${timeOf(last)}, were cut off`
    return { ok: false, brokenAtSeq: this.#point.seq + 1, reason }
  }

  #break(brokenAtSeq: number, reason: string): void {
    this.#broken ??= { ok: false, brokenAtSeq, reason }
  }

  get #next(): Mark | undefined {
    return this.#marks[this.#at]
  }
}

const missing = (first: number, why: string): Break => ({
  ok: false,
  brokenAtSeq: first - 1,
  reason: `it and all before it are missing, and ${why}`,
})

const timeOf = ({ wallMs }: Mark): string => new Date(wallMs).toISOString()
