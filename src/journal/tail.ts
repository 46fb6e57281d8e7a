import type { DatabaseSync } from 'node:sqlite'
import { KeepwardError } from '../base/error.ts'
import { follow, isBreak } from './chain.ts'
import type { ChainPoint } from './chain.ts'
import { readMeta, rowColumns, toRow } from './verify.ts'

/** The end of the chain as the file says. */
export function readTail(db: DatabaseSync): ChainPoint {
  const row = db.prepare('SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1').get()
  return row === undefined ? readMeta(db).anchor : { seq: Number(row['seq']), hash: String(row['hash']) }
}

/** Nothing is appended to a chain whose end is broken. */
export function checkTail(db: DatabaseSync): ChainPoint {
  const { journal, anchor } = readMeta(db)
  const rows = db.prepare(`SELECT ${rowColumns} FROM records ORDER BY seq DESC LIMIT 100`).all().map(toRow).reverse()
  const before =
    rows[0] === undefined
      ? undefined
      : db.prepare('SELECT seq, hash FROM records WHERE seq < ? ORDER BY seq DESC LIMIT 1').get(rows[0].seq)
  let tail: ChainPoint = before === undefined ? anchor : { seq: Number(before['seq']), hash: String(before['hash']) }
  for (const row of rows) {
    const next = follow(tail, row, journal)
    if (isBreak(next))
      throw new KeepwardError('journal-failed', `record ${next.brokenAtSeq} is damaged: ${next.reason}`)
    tail = next
  }
  return tail
}
