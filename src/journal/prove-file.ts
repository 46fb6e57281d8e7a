import { journalError, openForReading } from './file.ts'
import { Prover, type Mark, type Proof } from './proof.ts'
import { parseRecord, type JournalRecord } from './record.ts'
import { readMeta, rowColumns, toRow, verifyFile } from './verify.ts'
import type { Row } from './chain.ts'

/** The id of a journal file that no agent has open. Throws as {@link verifyFile} does. */
export function journalIdOf(file: string): string {
  const { db, done } = openForReading(file)
  try {
    return readMeta(db).journal
  } finally {
    done()
  }
}

/** Hold a journal file that no agent has open against marks, read-only. Blocks the thread. Throws as {@link verifyFile} does. */
export function proveFile(file: string, marks: readonly Mark[]): Proof {
  const prover = new Prover(journalIdOf(file), marks)
  for (const row of rowsOf(file)) if (!prover.add(row)) break
  const proof = prover.end()
  if (proof.broken !== undefined) return proof
  // The file's own tables too: where it says that it begins, and each router's newest record.
  const verdict = verifyFile(file)
  return verdict.ok ? proof : { ...proof, ok: false, broken: verdict }
}

/** The records of a journal file that no agent has open. Throws as {@link verifyFile} does, and for a text that is no record. */
export function* recordsOf(file: string): Generator<JournalRecord, void, undefined> {
  for (const { seq, record, hash } of rowsOf(file)) {
    const parsed = parseRecord(record, hash)
    if (parsed === undefined) throw journalError(file, 'read', new Error(`the text of record ${seq} is not a record`))
    yield parsed
  }
}

function* rowsOf(file: string): Generator<Row, void, undefined> {
  const { db, done } = openForReading(file)
  try {
    for (const row of db.prepare(`SELECT ${rowColumns} FROM records ORDER BY seq`).iterate()) yield toRow(row)
  } catch (error) {
    throw journalError(file, 'read', error)
  } finally {
    done()
  }
}
