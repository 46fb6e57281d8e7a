import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ReadAsk } from './protocol.ts'

/**
 * Indexes for what is asked; a journal without one of them is read more slowly. A notifier's last word stands behind any number of
 * transitions. What was said of a router that did not run here bears its name in the body alone.
 */
export const indexes = `
  CREATE INDEX records_of_router ON records (router, seq) WHERE router IS NOT NULL;
  CREATE INDEX claims_of_router ON records (router, seq) WHERE kind = 'claim' AND router IS NOT NULL;
  CREATE INDEX foreign_claims ON records (kind, seq) WHERE kind = 'claim' AND router IS NULL;
  CREATE INDEX foreign_words ON records (json_extract(record, '$.body.router'), seq)
    WHERE router IS NULL AND kind IN ('claim', 'refusal');`

type Choice = Pick<ReadAsk, 'router' | 'kind' | 'newestFirst'>

/** The kind is written out, so that SQLite can tell that an index holds all that is asked for. */
export function readSql({ router, kind, newestFirst }: Choice): string {
  const order = `ORDER BY seq ${newestFirst ? 'DESC' : 'ASC'} LIMIT @limit`
  const ofKind = kind === undefined ? '' : `AND kind = '${kind}'`
  const those = (which: string) =>
    `SELECT seq, hash, record FROM records WHERE seq > @after AND seq <= @until ${which} ${ofKind} ${order}`
  if (router === undefined) return those('')
  if (router === null) return those('AND router IS NULL')
  const own = those('AND router = @router')
  if (kind !== undefined && kind !== 'claim' && kind !== 'refusal') return own
  const foreign = those(
    "AND router IS NULL AND kind IN ('claim', 'refusal') AND json_extract(record, '$.body.router') = @router",
  )
  return `SELECT * FROM (${own}) UNION ALL SELECT * FROM (${foreign}) ${order}`
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
