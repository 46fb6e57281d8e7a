import { closeSync, constants, fsyncSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { Entry } from '../linux/safe-entry.ts'
import { unsafe } from '../linux/safe-error.ts'

// After a write that failed, a file must not be trusted again, whatever a later fsync says: the page cache takes the failed
// blocks for written, and ext4 leaves the extents that it had just allocated marked as unwritten, so that after a power cut
// they read as zeros. What the page cache still reads right is therefore copied into blocks that were allocated anew.

/** A journal by its directory, which stays open as long as the journal. */
export interface Place {
  readonly dir: SafeDir
  readonly name: string
}

/**
 * Make a durable copy of what `db` reads. From its rename on the copy is the journal, whatever comes: `adoptCopy` ends what
 * was begun. Throws SQLite's and the system's errors, and then the journal is still what it was.
 */
export function copyJournal(db: DatabaseSync, place: Place): void {
  makeCopy(place, (path) => db.prepare('VACUUM INTO ?').run(path))
}

/** A durable copy that `fill` writes: the path leads to an empty file, of which nothing may be open when it returns. */
export function makeCopy({ dir, name }: Place, fill: (path: string, draft: Place) => void): void {
  const draft = draftOf(name)
  dropDraft({ dir, name })
  closeSync(dir.openFile(draft, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL))
  using made = dir.find(draft, 'regular file')
  fill(dir.via(draft), { dir, name: draft })
  // Now, so that opening it later writes nothing into the blocks that are made durable here.
  const copy = openAlone({ dir, name: draft })
  try {
    copy.exec(`${inMemory}; PRAGMA journal_mode = WAL`)
  } finally {
    copy.close()
  }
  // SQLite writes by path: what it wrote must be in the file that was made here.
  if (made === undefined || made.stats.size === 0 || dir.look(draft)?.ino !== made.stats.ino)
    throw unsafe(`${dir.pathOf(draft)} was replaced while it was written`)
  const fd = made.open(constants.O_RDWR)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  dir.replace(copyOf(name), draft)
}

/**
 * Put a copy in the place of the journal, where there is one, and remove what is left of one that was not finished. The old
 * log goes first: it must not be read into the copy.
 */
export function adoptCopy(place: Place): void {
  const { dir, name } = place
  dropDraft(place)
  using copy = dir.find(copyOf(name), 'regular file')
  if (copy === undefined) return
  dir.drop(logOf(name))
  dir.flush()
  dir.replace(name, copyOf(name))
}

/**
 * A connection that shares its file with nobody, so that the index of the write-ahead log is on the heap: a shared one is a
 * mapped file, and while its file system stalls, the page fault of this thread blocks every fork of the process. SQLite
 * makes no file of that name. Throws `file-unsafe` when it has another than that which bears the name, before it reads or
 * writes a byte.
 */
export function openAlone(place: Place): DatabaseSync {
  const { dir, name } = place
  const url = pathToFileURL(dir.via(name))
  url.searchParams.set('mode', 'rw')
  const db = new DatabaseSync(url, { timeout: 1000, defensive: true, allowExtension: false })
  try {
    using file = dir.find(name, 'regular file')
    demandOpen(file, place)
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * SQLite opens by path, each component of it anew: what it has must be what lies in the directory that we hold. That is not
 * opened to find out: closing any descriptor that is open for reading or writing drops the POSIX locks that this process
 * holds on a file (fcntl(2), "record locks").
 */
export function demandOpen(file: Entry | undefined, { dir, name }: Place): void {
  if (file?.isOpenHere() === true) return
  throw unsafe(`${dir.pathOf(name)} was replaced while it was opened`)
}

/** What a draft may have to take back is written nowhere: until it is whole it is nothing. */
export const inMemory = 'PRAGMA journal_mode = MEMORY'

/** The name under which a whole copy waits to take the journal's place. */
export const copyOf = (name: string): string => `${name}.copy`

/** SQLite's name of the write-ahead log. */
export const logOf = (name: string): string => `${name}-wal`

const draftOf = (name: string): string => `${name}.draft`

/** With its log: SQLite would read one that was left behind into the next draft. */
function dropDraft({ dir, name }: Place): void {
  for (const file of [draftOf(name), logOf(draftOf(name))]) dir.drop(file)
}
