import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { O_PATH } from './safe-entry.ts'
import { demandFile, failed, isOurs, modeOf, octal } from './safe-error.ts'

export interface OpenOptions {
  /** Make what is missing: parents 0755, the directory itself `mode`. */
  readonly create?: boolean
  /**
   * The exact permission bits that the directory must have; 0700. Whether others may pass through it is set on one of ours. `any`
   * is for one that we only read in: others may read it too, and if it is sticky, as /tmp is, they may have files of their own there.
   */
  readonly mode?: number | 'any'
  /** Not even we may own it or a directory above it: what it holds is root's word to us. With `any`, and without `create`. */
  readonly owner?: 'root'
}

/** The descriptor of the directory behind a path, from the root on. Throws `directory-unsafe` or `file-failed`. */
export function openDirectory(path: string, options: OpenOptions): number {
  const names = path === '/' && options.mode === 'any' ? [] : path.split('/').slice(1)
  if (!path.startsWith('/') || names.some((name) => name === '' || name === '.' || name === '..')) {
    throw new KeepwardError('directory-unsafe', `"${path}" is no plain absolute path of a directory`)
  }
  let at = ''
  let fd = enter(undefined, '/', '/')
  for (const [index, name] of names.entries()) {
    at += `/${name}`
    const parent = fd
    try {
      fd =
        index === names.length - 1 ? openDirectoryIn(parent, name, at, options) : enterParent(parent, name, at, options)
    } finally {
      closeSync(parent)
    }
  }
  return fd
}

/** The descriptor of a directory in the one that `parent` holds; `path` is for messages. */
export function openDirectoryIn(parent: number, name: string, path: string, options: OpenOptions): number {
  const mode = options.mode ?? 0o700
  if (mode === 'any') return enter(parent, name, path, options.owner)
  const fd = options.create === true ? enterOrMake(parent, name, path, mode) : enter(parent, name, path)
  return closedOnError(fd, () => {
    const stats = fstatSync(fd)
    if (isOurs(stats) && (modeOf(stats) ^ mode) === passBits) fchmodSync(fd, mode)
    else if (!isOurs(stats) || modeOf(stats) !== mode)
      throw new KeepwardError('directory-unsafe', `${path} belongs to uid ${stats.uid} with mode ${octal(stats)}`, {
        hint: `chown it to uid ${process.geteuid?.() ?? 0} and chmod it to ${mode.toString(8).padStart(4, '0')}`,
      })
  })
}

/**
 * A descriptor of a regular file by open(2) flags: `at` is its path by descriptor, `path` for messages. See
 * {@link SafeDir.openFile}.
 */
export function openFileAt(at: string, path: string, flags: number, mode: number): number {
  const { O_CREAT, O_EXCL } = constants
  if ((flags & O_CREAT) === 0) return openFileOnce(at, path, flags, mode)
  // In two steps, since only what we made ourselves is given a mode.
  try {
    return openFileOnce(at, path, flags | O_EXCL, mode)
  } catch (error) {
    const isThere = error instanceof KeepwardError && errnoOf(error.cause) === 'EEXIST'
    if (!isThere || (flags & O_EXCL) !== 0) throw error
    return openFileOnce(at, path, flags & ~O_CREAT, mode)
  }
}

const sticky = 0o1000
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
/** Search permission for group and others. */
const passBits = 0o011

function enterParent(parent: number, name: string, path: string, options: OpenOptions): number {
  return options.create === true ? enterOrMake(parent, name, path, 0o755) : enter(parent, name, path, options.owner)
}

/** Opens one directory without following a symlink; its owner is root or we, and nobody else can put names into it. */
function enter(parent: number | undefined, name: string, path: string, owner?: 'root', flags = directoryFlags): number {
  const at = parent === undefined ? '/' : `/proc/self/fd/${parent}/${name}`
  let fd: number
  try {
    fd = openSync(at, flags)
  } catch (cause) {
    // One that we may only pass through, as others may through ours, is held without being read.
    if (errnoOf(cause) === 'EACCES' && (flags & O_PATH) === 0) return enter(parent, name, path, owner, flags | O_PATH)
    if (!['ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '')) throw failed(`open the directory ${path}`, cause)
    throw new KeepwardError('directory-unsafe', `${path} is a symlink or no directory`, {
      cause,
      hint: 'give the path of the directory itself, with no link on the way',
    })
  }
  return closedOnError(fd, () => {
    const stats = fstatSync(fd)
    // A sticky directory such as /tmp lets others add names, but not replace those of others (inode(7)).
    const closed = (stats.mode & 0o022) === 0 || (stats.mode & sticky) !== 0
    const trusted = stats.uid === 0 || (owner === undefined && isOurs(stats))
    if (trusted && closed) return
    throw new KeepwardError('directory-unsafe', `Others can change ${path}: owner ${stats.uid}, mode ${octal(stats)}`, {
      hint: `it and every directory above it must belong to root${owner === undefined ? ', or to us,' : ''} and be writable by no one else`,
    })
  })
}

/** It is there but for the first time. */
function enterOrMake(parent: number, name: string, path: string, mode: number): number {
  try {
    return enter(parent, name, path)
  } catch (error) {
    if (!(error instanceof KeepwardError) || errnoOf(error.cause) !== 'ENOENT') throw error
  }
  make(parent, name, path, mode)
  return enter(parent, name, path)
}

function make(parent: number, name: string, path: string, mode: number): void {
  try {
    mkdirSync(`/proc/self/fd/${parent}/${name}`, { mode: 0o700 })
    fsyncSync(parent)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw failed(`make the directory ${path}`, error)
  }
  const fd = closedOnError(enter(parent, name, path), (made) => {
    // mkdir's mode passes the umask, fchmod's does not.
    fchmodSync(made, mode)
  })
  closeSync(fd)
}

function openFileOnce(at: string, path: string, flags: number, mode: number): number {
  let fd: number
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for its other end for ever.
    fd = openSync(at, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode)
  } catch (error) {
    throw failed(`open ${path}`, error)
  }
  return closedOnError(fd, () => {
    if ((flags & constants.O_CREAT) !== 0) fchmodSync(fd, mode)
    demandFile(fstatSync(fd), lstatSync(at, { throwIfNoEntry: false }), path)
  })
}

function closedOnError(fd: number, check: (fd: number) => void): number {
  try {
    check(fd)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
