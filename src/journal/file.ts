import { basename, dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { randomBytes } from 'node:crypto'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { Owner } from '../linux/owner.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import type { Entry } from '../linux/safe-entry.ts'
import { genesis } from './chain.ts'
import { adoptCopy, copyOf, demandOpen, inMemory, logOf, makeCopy, openAlone, type Place } from './renew.ts'
import { indexes } from './select.ts'

/** PRAGMA user_version of the files that this program writes. */
const schemaVersion = 1

/** "KWRD": tells a journal from any other SQLite file. */
const applicationId = 0x4b57_5244

/** How far each that reads on has come; of no part in the chain. */
export const cursors =
  'CREATE TABLE IF NOT EXISTS cursors (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID'

const schema = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    journal TEXT NOT NULL,
    starts INTEGER NOT NULL,
    anchor_seq INTEGER NOT NULL,
    anchor_hash TEXT NOT NULL
  ) STRICT;
  CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    router TEXT,
    kind TEXT NOT NULL,
    wall_ms REAL NOT NULL,
    hash TEXT NOT NULL,
    record TEXT NOT NULL
  ) STRICT;
  CREATE TABLE routers (
    router TEXT PRIMARY KEY,
    router_seq INTEGER NOT NULL,
    head_hash TEXT,
    head_record TEXT
  ) STRICT, WITHOUT ROWID;
  ${cursors};
  ${indexes}`

/**
 * Open a journal for writing. A missing or empty file becomes a new journal (mode 0600 whatever the umask), unless
 * `mustExist`; anything else must be a journal of this version already. Throws `file-unsafe`, `journal-too-new`, `journal-failed`.
 */
export function openForWriting(place: Place, mustExist: boolean): DatabaseSync {
  const file = place.dir.pathOf(place.name)
  return openWith(file, () => {
    adoptCopy(place)
    if (!mustExist && isEmpty(place)) create(place)
    demandJournal(place)[Symbol.dispose]()
    const db = openAlone(place)
    try {
      // Before a byte of it is believed, and the log before a byte is written.
      secureOpened(place)
      checkVersion(db, file)
      db.exec('PRAGMA journal_mode = WAL')
      secureOpened(place)
      secureOpened({ dir: place.dir, name: logOf(place.name) })
      db.exec(`
        PRAGMA synchronous = FULL;
        PRAGMA wal_autocheckpoint = 4000;
        PRAGMA journal_size_limit = 16777216;
        PRAGMA cache_size = -1024;
        PRAGMA temp_store = MEMORY;
        PRAGMA trusted_schema = OFF;
        PRAGMA cell_size_check = ON`)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })
}

/**
 * Open a journal that nobody is writing, by its absolute path, and with no more rights than whoever has its directory. `done`
 * closes it.
 */
export function openForReading(file: string): { readonly db: DatabaseSync; readonly done: () => void } {
  const owner = new Owner(dirname(file))
  return owner.act(() => {
    const dir = openDirectoryOf(file)
    try {
      // A copy that waits to be adopted is the journal already.
      const copy = copyOf(basename(file))
      const db = openWith(file, () => openThere({ dir, name: dir.look(copy) === undefined ? basename(file) : copy }))
      const done = () => {
        owner.act(() => {
          db.close()
          dir.close()
        })
      }
      return { db, done }
    } catch (error) {
      dir.close()
      throw error
    }
  })
}

function openThere(place: Place): DatabaseSync {
  using journal = demandJournal(place)
  const { dir, name } = place
  const db = new DatabaseSync(dir.via(name), { timeout: 1000, defensive: true, allowExtension: false, readOnly: true })
  try {
    demandOpen(journal, place)
    checkVersion(db, dir.pathOf(name))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** The first column of the first row, a number. */
export function figure(db: DatabaseSync, sql: string): number {
  const value = Object.values(db.prepare(sql).get() ?? {})[0]
  return typeof value === 'number' ? value : 0
}

/** The error that an operator reads, from whatever SQLite threw. It crosses threads, so its text says all; no cause. */
export function journalError(file: string, doing: string, error: unknown): KeepwardError {
  if (error instanceof KeepwardError) return error
  const result = resultCode(error)
  const code = result === locked ? 'state-in-use' : 'journal-failed'
  const hint = hints[result]
  const text = error instanceof Error ? error.message : String(error)
  return new KeepwardError(code, `Cannot ${doing} journal ${file}: ${text}`, hint === undefined ? {} : { hint })
}

/** SQLite's primary result code of an error, 0 when it has none. */
export const resultCode = (error: unknown): number =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0

/** SQLITE_IOERR */
export const ioError = 10

/** SQLITE_FULL */
export const diskFull = 13

/** SQLITE_BUSY */
const locked = 5

const moveAside = 'move it and its -wal file aside, keep them for inquiry, and start again with a new journal'

/** By SQLite's primary result code. */
const hints: Readonly<Record<number, string>> = {
  [locked]: 'an agent has it open: ask that agent, or stop it first',
  8: 'the file or its file system is read-only',
  [ioError]: 'the disk reports errors; see dmesg',
  11: `the file is damaged: ${moveAside}`,
  [diskFull]: 'free space on its file system',
  14: 'check the directory, its permissions, and the limit on open files',
  26: `the file is no journal or is damaged: ${moveAside}`,
}

/** Throws `journal-failed` when there is none. */
function demandJournal({ dir, name }: Place): Entry {
  const file = dir.find(name, 'regular file')
  if (file !== undefined) return file
  throw new KeepwardError('journal-failed', `There is no journal ${dir.pathOf(name)}`)
}

/** What SQLite has open is what bears the name, and nobody else reads or writes it. */
function secureOpened(place: Place): void {
  using file = place.dir.find(place.name, 'regular file')
  demandOpen(file, place)
  file?.give({ mode: 0o600 })
}

function isEmpty({ dir, name }: Place): boolean {
  using file = dir.find(name, 'regular file')
  return file === undefined || file.stats.size === 0
}

function openDirectoryOf(file: string): SafeDir {
  try {
    return SafeDir.open(dirname(file), { mode: 'any' })
  } catch (error) {
    const absent = error instanceof KeepwardError && errnoOf(error.cause) === 'ENOENT'
    throw absent ? new KeepwardError('journal-failed', `There is no journal ${file}`) : error
  }
}

function openWith(file: string, open: () => DatabaseSync): DatabaseSync {
  try {
    return open()
  } catch (error) {
    throw journalError(file, 'open', error)
  }
}

/** It takes its name when it is complete: after a crash there is none, or all of it. */
function create(place: Place): void {
  makeCopy(place, (_path, draft) => {
    const db = openAlone(draft)
    try {
      fillNew(db)
    } finally {
      db.close()
    }
  })
  adoptCopy(place)
}

function fillNew(db: DatabaseSync): void {
  db.exec(`
    ${inMemory};
    PRAGMA page_size = 4096;
    PRAGMA auto_vacuum = INCREMENTAL;
    BEGIN IMMEDIATE;
    ${schema}
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion}`)
  const journal = randomBytes(16).toString('hex')
  db.prepare('INSERT INTO meta VALUES (1, ?, 0, ?, ?)').run(journal, genesis.seq, genesis.hash)
  db.exec('COMMIT')
}

function checkVersion(db: DatabaseSync, file: string): void {
  if (figure(db, 'PRAGMA application_id') !== applicationId) {
    throw new KeepwardError('journal-failed', `${file} is an SQLite file but no Keepward journal`, { hint: moveAside })
  }
  const version = figure(db, 'PRAGMA user_version')
  if (version > schemaVersion) {
    const message = `Journal ${file} has schema version ${version}, this program knows versions up to ${schemaVersion}`
    throw new KeepwardError('journal-too-new', message, { hint: 'install the release that wrote it, or a later one' })
  }
}
