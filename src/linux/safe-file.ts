import {
  closeSync,
  constants,
  fdatasync,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  write,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { errnoOf } from '../base/error.ts'
import { demandFile, demandOneName, isOurs, modeOf, octal, unsafe } from './safe-error.ts'

/** What is done in a directory that {@link SafeDir} holds; `directory` is its path by descriptor, names are checked. */
export interface FileCalls {
  /** Replaces as one step. */
  write(directory: string, name: string, data: string | Uint8Array, mode: number): Promise<void>
  /** `says`: the path for messages. Undefined when there is none. Throws `file-unsafe`. */
  read(directory: string, name: string, says: string, maxBytes: number): Promise<Buffer | undefined>
  /** Absent is fine. */
  remove(directory: string, name: string): Promise<void>
}

/** On a disk, which may stall: in the thread pool; what was written outlasts a power cut. */
export const durableCalls: FileCalls = {
  async write(directory, name, data, mode) {
    const temporary = temporaryIn(directory)
    try {
      await writeNew(temporary, name, data, mode)
      await rename(temporary, `${directory}/${name}`)
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      throw error
    }
    await syncDirectory(directory)
  },
  async read(directory, name, says, maxBytes) {
    const path = `${directory}/${name}`
    for (let tries = 1; ; tries++) {
      const file = await open(path, readFlags).catch(unlessAbsent)
      if (file === undefined) return undefined
      try {
        const opened = await file.stat()
        const named = await lstat(path).catch(unlessAbsent)
        if (named?.ino !== opened.ino && isGone(await file.stat(), tries)) continue
        const bytes = bufferFor(opened, named, says, maxBytes)
        const part = checkedPart(bytes, (await file.read(bytes, 0, bytes.length, 0)).bytesRead, says)
        const still = await lstat(path).catch(unlessAbsent)
        demandStill(await file.stat(), still, says)
        return part
      } finally {
        await file.close()
      }
    }
  },
  remove: (directory, name) => unlink(`${directory}/${name}`).catch(unlessAbsent),
}

/**
 * In memory, where a call takes less time than asking another thread for it (a tenth), and what is gone with the power
 * is made anew.
 */
export const volatileCalls: FileCalls = {
  write: (directory, name, data, mode) =>
    promised(() => {
      const temporary = temporaryIn(directory)
      const fd = openSync(temporary, writeFlags, 0o600)
      try {
        try {
          fchmodSync(fd, mode)
          demandMade(fstatSync(fd), name, mode)
          writeFileSync(fd, data)
        } finally {
          closeSync(fd)
        }
        renameSync(temporary, `${directory}/${name}`)
      } catch (error) {
        removeNow(temporary)
        throw error
      }
    }),
  read: (directory, name, says, maxBytes) =>
    promised(() => {
      const path = `${directory}/${name}`
      for (let tries = 1; ; tries++) {
        const fd = unlessMissing(() => openSync(path, readFlags))
        if (fd === undefined) return undefined
        try {
          const opened = fstatSync(fd)
          const named = lstatSync(path, { throwIfNoEntry: false })
          if (named?.ino !== opened.ino && isGone(fstatSync(fd), tries)) continue
          const bytes = bufferFor(opened, named, says, maxBytes)
          const part = checkedPart(bytes, readSync(fd, bytes, 0, bytes.length, 0), says)
          const still = lstatSync(path, { throwIfNoEntry: false })
          demandStill(fstatSync(fd), still, says)
          return part
        } finally {
          closeSync(fd)
        }
      }
    }),
  remove: (directory, name) =>
    promised(() => {
      removeNow(`${directory}/${name}`)
    }),
}

/** Write at the end of an open file, in the thread pool; what was written outlasts a power cut. */
export async function appendDurably(fd: number, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += (await promisify(write)(fd, data, at)).bytesWritten
  await promisify(fdatasync)(fd)
}

/** Absent is fine. */
export function removeNow(path: string): void {
  unlessMissing(() => {
    unlinkSync(path)
  })
}

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const writeFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const temporaryIn = (directory: string): string => `${directory}/tmp-${randomBytes(8).toString('hex')}`

/** Whether it is the name of a write that is under way, or that nobody ended. */
export const isTemporary = (name: string): boolean => /^tmp-[0-9a-f]{16}$/.test(name)

async function writeNew(path: string, name: string, data: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, writeFlags, 0o600)
  try {
    await file.chmod(mode)
    demandMade(await file.stat(), name, mode)
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory: FileHandle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** There are file systems that give files another owner, or know no modes. */
function demandMade(stats: Stats, name: string, mode: number): void {
  if (isOurs(stats) && modeOf(stats) === mode) return
  throw unsafe(`The new ${name} belongs to uid ${stats.uid} with mode ${octal(stats)}, not to us with the mode wanted`)
}

/** It was removed or replaced just after it was opened, as keepalived does with its pid files: the name is looked up again. */
const isGone = (opened: Stats, tries: number): boolean => opened.nlink === 0 && tries < maxTries
const maxTries = 5

/** One byte more than the file holds, to see it grow. Throws when it is not to be read. */
function bufferFor(opened: Stats, named: Stats | undefined, path: string, maxBytes: number): Buffer {
  demandFile(opened, named, path)
  if (opened.size > maxBytes) throw unsafe(`${path} is ${opened.size} bytes, at most ${maxBytes} are read`)
  return Buffer.alloc(opened.size + 1)
}

/**
 * After it was read: for a moment within unlink(2) the name is still there and the count of names is one less already, so that what held
 * before must hold again. A file that has no name left is nobody else's: so the name is looked at first, and one that is removed in
 * between, as keepalived does with its pid files, is seen to have none.
 */
function demandStill(opened: Stats, named: Stats | undefined, path: string): void {
  if (opened.nlink > 0) demandOneName(opened, named, path)
}

function checkedPart(bytes: Buffer, bytesRead: number, path: string): Buffer {
  if (bytesRead === bytes.length) throw unsafe(`${path} grew while it was read`)
  return bytes.subarray(0, bytesRead)
}

const promised = <T>(body: () => T): Promise<T> =>
  new Promise((resolve) => {
    resolve(body())
  })

function unlessMissing<T>(body: () => T): T | undefined {
  try {
    return body()
  } catch (error) {
    unlessAbsent(error)
    return undefined
  }
}

function unlessAbsent(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
  return undefined
}
