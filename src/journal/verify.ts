import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { follow, isBreak, walkStart } from './chain.ts'
import type { Break, ChainPoint, Row, Verdict, Walk, WalkStep } from './chain.ts'
import { journalError, openForReading } from './file.ts'
import { parseRecord, recordHash } from './record.ts'

/**
 * Walk the whole chain of a journal file that no agent has open, read-only. Blocks the thread.
 * Throws `journal-failed`, `journal-too-new`, `file-unsafe` or `state-in-use` when the file cannot be read as a journal at all.
 */
export function verifyFile(file: string): Verdict {
  const { db, done } = openForReading(file)
  try {
    for (let walk = walkStart; ;) {
      const step = walkOn(db, walk, 1000)
      if (step.done) return step.verdict
      walk = step.walk
    }
  } catch (error) {
    throw journalError(file, 'read', error)
  } finally {
    done()
  }
}

/** Check the next `limit` records; at the end of the chain also where it starts and the routers' heads. */
export function walkOn(db: DatabaseSync, from: Walk, limit: number): WalkStep {
  const { journal, anchor } = readMeta(db)
  let walk = from.seq < anchor.seq ? { ...from, ...anchor } : from
  const rows = db.prepare(`SELECT ${rowColumns} FROM records WHERE seq > ? ORDER BY seq LIMIT ?`).all(walk.seq, limit)
  for (const row of rows.map(toRow)) {
    const next = follow(walk, row, journal)
    if (isBreak(next)) return { done: true, verdict: next }
    walk = { ...next, records: walk.records + 1, fromSeq: walk.fromSeq ?? row.seq, start: startAfter(walk.start, row) }
  }
  if (rows.length === limit) return { done: false, walk }
  const broken = checkStart(walk, anchor) ?? checkRouters(db)
  if (broken !== undefined) return { done: true, verdict: broken }
  const { records, fromSeq = walk.seq + 1, seq: toSeq, hash } = walk
  return { done: true, verdict: { ok: true, records, fromSeq, toSeq, hash } }
}

export const rowColumns = 'seq, router, kind, wall_ms, hash, record'

/** A row of {@link rowColumns}; the table is STRICT, so the types are the columns'. */
export function toRow(row: Record<string, SQLOutputValue>): Row {
  return {
    seq: Number(row['seq']),
    router: row['router'] === null ? null : String(row['router']),
    kind: String(row['kind']),
    wallMs: Number(row['wall_ms']),
    hash: String(row['hash']),
    record: String(row['record']),
  }
}

export function readMeta(db: DatabaseSync): { journal: string; starts: number; anchor: ChainPoint } {
  const row = db.prepare('SELECT journal, starts, anchor_seq, anchor_hash FROM meta').get() ?? {}
  const anchor = { seq: Number(row['anchor_seq']), hash: String(row['anchor_hash']) }
  return { journal: String(row['journal']), starts: Number(row['starts']), anchor }
}

function startAfter(start: ChainPoint, row: Row): ChainPoint {
  if (row.kind !== 'retention') return start
  const { throughSeq, throughHash } = parseRecord(row.record, row.hash)?.body ?? {}
  return typeof throughSeq === 'number' && typeof throughHash === 'string'
    ? { seq: throughSeq, hash: throughHash }
    : start
}

function checkStart(walk: Walk, anchor: ChainPoint): Break | undefined {
  if (walk.start.seq === anchor.seq && walk.start.hash === anchor.hash) return undefined
  const reason = `the chain starts after record ${anchor.seq}, but its newest retention record says after ${walk.start.seq}`
  return { ok: false, brokenAtSeq: anchor.seq + 1, reason }
}

/** The table `routers` is a copy of each router's newest transition and number: equal to the records, where they are kept. */
function checkRouters(db: DatabaseSync): Break | undefined {
  const newest = db.prepare('SELECT hash, record FROM records WHERE router = ? ORDER BY seq DESC LIMIT 1')
  const newestTransition = db.prepare(
    `SELECT hash FROM records WHERE router = ? AND kind = 'transition' ORDER BY seq DESC LIMIT 1`,
  )
  for (const row of db.prepare('SELECT router, router_seq, head_hash, head_record FROM routers').iterate()) {
    const router = String(row['router'])
    const head =
      row['head_record'] === null ? undefined : parseRecord(String(row['head_record']), String(row['head_hash']))
    const broken = (reason: string): Break => ({
      ok: false,
      brokenAtSeq: head?.seq ?? 0,
      reason: `the head of router ${router} ${reason}`,
    })
    if (head !== undefined && recordHash(String(row['head_record'])) !== head.hash)
      return broken('does not have its hash')
    const transition = newestTransition.get(router)?.['hash']
    if (transition !== undefined && transition !== head?.hash) return broken('is not its newest transition')
    const last = newest.get(router)
    const lastSeq = last && parseRecord(String(last['record']), String(last['hash']))?.routerSeq
    if (lastSeq !== undefined && lastSeq !== row['router_seq']) return broken('counts its records wrongly')
  }
  return undefined
}
