import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ReadAsk } from './protocol.ts'
import type { RecordKind } from './record.ts'

/**
 * Indexes for what is asked; a journal without one of them is read more slowly. A notifier's last word stands behind any number of
 * transitions. What was said of a router that did not run here bears its name in the body alone, and no index of it: that would cost each
 * record more than all else.
 */
export const indexes = `
  CREATE INDEX records_of_router ON records (router, seq) WHERE router IS NOT NULL;
  CREATE INDEX claims_of_router ON records (router, seq) WHERE kind = 'claim' AND router IS NOT NULL;
  CREATE INDEX foreign_words ON records (kind, seq) WHERE router IS NULL AND kind IN ('claim', 'refusal');`

/** So many of the newest of each kind are searched for a name. */
const maxSearched = 10_000

type Choice = Pick<ReadAsk, 'router' | 'kind' | 'newestFirst'>

/**
 * The kind is written out, so that SQLite can tell that an index holds all that is asked for. Backwards, a router's records are found
 * together with the newest that speak of it although it did not run here; forwards, where none may be missing, its own alone.
 */
export function readSql({ router, kind, newestFirst }: Choice): string {
  const order = `ORDER BY seq ${newestFirst ? 'DESC' : 'ASC'} LIMIT`
  const span = 'seq > @after AND seq <= @until'
  const those = (which: string, ofKind: RecordKind | undefined, limit = '@limit') =>
    `SELECT seq, hash, record FROM records WHERE ${span} ${which} ${ofKind === undefined ? '' : `AND kind = '${ofKind}'`} ${order} ${limit}`
  if (router === undefined) return those('', kind)
  if (router === null) {
    const words = kind === 'claim' || kind === 'refusal' ? "AND kind IN ('claim', 'refusal')" : ''
    return those(`AND router IS NULL ${words}`, kind)
  }
  const foreign = (['claim', 'refusal'] as const)
    .filter((one) => newestFirst && (kind === undefined || kind === one))
    .map((one) => those("AND router IS NULL AND kind IN ('claim', 'refusal')", one, String(maxSearched)))
    .map((newest) => `SELECT * FROM (${newest}) WHERE json_extract(record, '$.body.router') = @router`)
  const own = those('AND router = @router', kind)
  return foreign.length === 0 ? own : `${[`SELECT * FROM (${own})`, ...foreign].join(' UNION ALL ')} ${order} @limit`
}

/** Runs what is asked, each form of it prepared once. */
export function makeReader(db: DatabaseSync): (ask: ReadAsk) => ReturnType<StatementSync['all']> {
  const prepared = new Map<string, StatementSync>()
  return (ask) => {
    const sql = readSql(ask)
    const statement = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, statement)
    const { after, until, limit, router } = ask
    return statement.all({ after, until, limit, ...(typeof router === 'string' ? { router } : {}) })
  }
}
