import { chmodSync, closeSync, existsSync, fchmodSync, fsyncSync, lstatSync, openSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { randomBytes } from 'node:crypto'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { genesis } from './chain.ts'
import { indexes } from './select.ts'
import { adoptCopy, copyOf } from './renew.ts'

/** PRAGMA user_version of the files that this program writes. */
const schemaVersion = 1

/** "KWRD": tells a journal from any other SQLite file. */
const applicationId = 0x4b57_5244

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
  ${indexes}`

/**
 * Open a journal for writing. A missing or empty file becomes a new journal (mode 0600 whatever the umask), unless
 * `mustExist`; anything else must be a journal of this version already. Throws `file-unsafe`, `journal-too-new`, `journal-failed`.
 */
export function openForWriting(file: string, mustExist: boolean): DatabaseSync {
  return openWith(file, () => {
    adoptCopy(file)
    secureFile(file, mustExist)
    const db = new DatabaseSync(file, { timeout: 1000, defensive: true, allowExtension: false })
    // Exclusive, so that the index of the write-ahead log is on the heap. A shared one is a mapped file: while its file
    // system stalls, the page fault of this thread blocks every fork of the process, so no command could be run.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    if (figure(db, 'PRAGMA page_count') === 0 && !mustExist) create(db)
    checkVersion(db, file)
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = 4000;
      PRAGMA journal_size_limit = 16777216;
      PRAGMA cache_size = -1024;
      PRAGMA temp_store = MEMORY;
      PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON`)
    return db
  })
}

/** Open a journal that nobody is writing. */
export function openForReading(file: string): DatabaseSync {
  // A copy that waits to be adopted is the journal already.
  const current = existsSync(copyOf(file)) ? copyOf(file) : file
  checkRegularFile(current)
  return openWith(file, () => {
    const db = new DatabaseSync(current, { timeout: 1000, defensive: true, allowExtension: false, readOnly: true })
    checkVersion(db, file)
    return db
  })
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
  14: 'check the directory and its permissions',
  26: `the file is no journal or is damaged: ${moveAside}`,
}

/**
 * The file is created here and not by SQLite, whose mode would follow the umask. An existing file is not opened: closing
 * any descriptor of it drops the POSIX locks that this process holds on it (fcntl(2), "record locks").
 */
function secureFile(file: string, mustExist: boolean): void {
  if (!isAbsolute(file)) throw new KeepwardError('request-invalid', `The journal's path must be absolute, not ${file}`)
  if (!mustExist && createFile(file)) return
  const { mode } = checkRegularFile(file)
  if ((mode & 0o777) !== 0o600) chmodSync(file, 0o600)
}

function createFile(file: string): boolean {
  try {
    const fd = openSync(file, 'wx', 0o600)
    fchmodSync(fd, 0o600)
    fsyncSync(fd)
    closeSync(fd)
    const directory = openSync(dirname(file), 'r')
    fsyncSync(directory)
    closeSync(directory)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw journalError(file, 'create', error)
  }
}

function checkRegularFile(file: string): { mode: number } {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found === undefined) throw new KeepwardError('journal-failed', `There is no journal ${file}`)
  if (found.isFile() && found.nlink === 1) return found
  throw new KeepwardError('file-unsafe', `Journal ${file} must be a regular file with one link`, {
    hint: 'remove the symbolic or hard link',
  })
}

function openWith(file: string, open: () => DatabaseSync): DatabaseSync {
  try {
    return open()
  } catch (error) {
    throw journalError(file, 'open', error)
  }
}

/**
 * One transaction in the rollback mode that every new SQLite file starts in, so that after a crash the file is
 * either empty or complete; only then does it change to WAL.
 */
function create(db: DatabaseSync): void {
  db.exec(`
    PRAGMA page_size = 4096;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA synchronous = FULL;
    BEGIN IMMEDIATE;
    ${schema}
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion}`)
  db.prepare('INSERT INTO meta VALUES (1, ?, 0, ?, ?)').run(randomBytes(16).toString('hex'), genesis.seq, genesis.hash)
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
