import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

// After a write that failed, a file must not be trusted again, whatever a later fsync says: the page cache takes the failed
// blocks for written, and ext4 leaves the extents that it had just allocated marked as unwritten, so that after a power cut
// they read as zeros. What the page cache still reads right is therefore copied into blocks that were allocated anew.

/**
 * Make a durable copy of what `db` reads. From its rename on the copy is the journal, whatever comes: `adoptCopy` ends what
 * was begun. Throws SQLite's and the system's errors, and then the journal is still what it was.
 */
export function copyJournal(db: DatabaseSync, file: string): void {
  const draft = draftOf(file)
  rmSync(draft, { force: true })
  closeSync(openSync(draft, 'wx', 0o600))
  db.prepare('VACUUM INTO ?').run(draft)
  // Now, so that opening it later writes nothing into the blocks that are made durable here.
  const copy = new DatabaseSync(draft)
  copy.exec('PRAGMA journal_mode = WAL')
  copy.close()
  flush(draft)
  renameSync(draft, copyOf(file))
  flush(dirname(file))
}

/**
 * Put a copy in the place of the journal, where there is one, and remove what is left of one that was not finished. The old
 * log goes first: it must not be read into the copy.
 */
export function adoptCopy(file: string): void {
  rmSync(draftOf(file), { force: true })
  if (statSync(copyOf(file), { throwIfNoEntry: false }) === undefined) return
  rmSync(`${file}-wal`, { force: true })
  flush(dirname(file))
  renameSync(copyOf(file), file)
  flush(dirname(file))
}

/** The name under which a whole copy waits to take the journal's place. */
export const copyOf = (file: string): string => `${file}.copy`

const draftOf = (file: string): string => `${file}.draft`

function flush(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
