import type { DatabaseSync } from 'node:sqlite'
import type { ChainPoint } from './chain.ts'
import { figure } from './file.ts'
import { keptAtLeast, type Retain } from './protocol.ts'
import { readMeta } from './verify.ts'

const pageSizeBytes = 4096

/** What of the file is in use. */
export function contentBytes(db: DatabaseSync): number {
  return (figure(db, 'PRAGMA page_count') - figure(db, 'PRAGMA freelist_count')) * pageSizeBytes
}

/** Remove a stretch of the oldest records; the chain then starts at the point that is the body of the record about it. */
export function removeOldest(
  db: DatabaseSync,
  retain: Retain,
  tail: ChainPoint,
): { readonly throughSeq: number; readonly throughHash: string } {
  const cut = chooseCut(db, retain, tail)
  if (cut !== undefined) {
    db.prepare('DELETE FROM records WHERE seq <= ?').run(cut.seq)
    db.prepare('UPDATE meta SET anchor_seq = ?, anchor_hash = ?').run(cut.seq, cut.hash)
    // Freed pages are used again; the file itself shrinks only when it is larger than it may be.
    const excess = figure(db, 'PRAGMA page_count') - Math.ceil(retain.sizeBytes / pageSizeBytes)
    if (excess > 0) db.exec(`PRAGMA incremental_vacuum(${excess})`)
  }
  const { seq: throughSeq, hash: throughHash } = readMeta(db).anchor
  return { throughSeq, throughHash }
}

/** The last record to remove: all that are too old, or the oldest tenth when there is too much; at most 1000 at once. */
function chooseCut(db: DatabaseSync, retain: Retain, tail: ChainPoint): ChainPoint | undefined {
  const rows = db
    .prepare('SELECT seq, wall_ms, hash FROM records WHERE seq <= ? ORDER BY seq LIMIT 1000')
    .all(tail.seq - keptAtLeast)
  const tenth = contentBytes(db) > retain.sizeBytes ? Math.ceil((tail.seq - Number(rows[0]?.['seq'])) / 10) : 0
  const young = rows.findIndex((row) => Number(row['wall_ms']) >= retain.beforeWallMs)
  const row = rows[Math.min(rows.length, Math.max(tenth, young < 0 ? rows.length : young)) - 1]
  return row && { seq: Number(row['seq']), hash: String(row['hash']) }
}
