import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { failed, isOurs, modeOf, octal } from './safe-error.ts'

export interface OpenOptions {
  /** Make what is missing: parents 0755, the directory itself `mode`. */
  readonly create?: boolean
  /**
   * The exact permission bits that the directory must have; 0700. Whether others may pass through it is set on one of ours. `any`:
   * others may read it.
   */
  readonly mode?: number | 'any'
}

/** The descriptor of the directory behind a path, from the root on. Throws `directory-unsafe` or `file-failed`. */
export function openDirectory(path: string, options: OpenOptions): number {
  const names = path.split('/').slice(1)
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
  if (mode === 'any') return enter(parent, name, path)
  const fd = options.create === true ? enterOrMake(parent, name, path, mode) : enter(parent, name, path)
  const stats = fstatSync(fd)
  if (isOurs(stats) && modeOf(stats) === mode) return fd
  if (isOurs(stats) && (modeOf(stats) ^ mode) === passBits) {
    fchmodSync(fd, mode)
    return fd
  }
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `${path} belongs to uid ${stats.uid} with mode ${octal(stats)}`, {
    hint: `chown it to uid ${process.geteuid?.() ?? 0} and chmod it to ${mode.toString(8).padStart(4, '0')}`,
  })
}

const sticky = 0o1000
/** Search permission for group and others. */
const passBits = 0o011

function enterParent(parent: number, name: string, path: string, options: OpenOptions): number {
  return options.create === true ? enterOrMake(parent, name, path, 0o755) : enter(parent, name, path)
}

/** Opens one directory without following a symlink; its owner is root or we, and nobody else can put names into it. */
function enter(parent: number | undefined, name: string, path: string): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  let fd: number
  try {
    fd = openSync(parent === undefined ? '/' : `/proc/self/fd/${parent}/${name}`, flags)
  } catch (cause) {
    const symlink = ['ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '')
    if (symlink) throw new KeepwardError('directory-unsafe', `${path} is a symlink or no directory`, { cause })
    throw failed(`open the directory ${path}`, cause)
  }
  const stats = fstatSync(fd)
  // A sticky directory such as /tmp lets others add names, but not replace those of others (inode(7)).
  const closed = (stats.mode & 0o022) === 0 || (stats.mode & sticky) !== 0
  if ((stats.uid === 0 || isOurs(stats)) && closed) return fd
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `Others can change ${path}: owner ${stats.uid}, mode ${octal(stats)}`, {
    hint: 'it and every directory above it must belong to root, or to us, and be writable by no one else',
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
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw failed(`make the directory ${path}`, error)
  }
  const fd = enter(parent, name, path)
  try {
    // mkdir's mode passes the umask, fchmod's does not.
    fchmodSync(fd, mode)
  } finally {
    closeSync(fd)
  }
}
