import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import { durableCalls, octal, unsafe, volatileCalls } from './safe-file.ts'

export interface DirectoryOptions {
  /** Make what is missing: parents 0755, the directory itself `mode`. */
  readonly create?: boolean
  /**
   * The exact permission bits that the directory must have; 0700. Whether others may pass through it is set on one of ours. `any`:
   * others may read it.
   */
  readonly mode?: number | 'any'
  /** Not even we may own it or a directory above it: what it holds is root's word to us. With `any`, and without `create`. */
  readonly owner?: 'root'
  /**
   * It lives for one boot, on a tmpfs: nothing in it is synced, and small calls are made on the event loop, which memory
   * does not block. A directory in it inherits this; false.
   */
  readonly volatile?: boolean
}

/**
 * A directory that is safe to write into as root, held by its descriptor: whoever renames or replaces a directory on the
 * way afterwards changes nothing. It was reached without following a symlink, through directories that only root or we
 * can change. Files are named, never given by path, and reached by /proc/self/fd, which must be the real procfs.
 */
export class SafeDir {
  /** As it was opened; for messages and for the arguments of programs. */
  readonly path: string
  readonly #fd: number
  readonly #volatile: boolean
  #open = true
  /** Operations that still go through the descriptor: it must not become another file's under them. */
  #pending = 0

  private constructor(path: string, fd: number, isVolatile: boolean) {
    this.path = path
    this.#fd = fd
    this.#volatile = isVolatile
  }

  /** Throws `directory-unsafe` or `file-failed`. */
  static open(path: string, options: DirectoryOptions = {}): SafeDir {
    const names = path.split('/').slice(1)
    if (!path.startsWith('/') || names.some((name) => name === '' || name === '.' || name === '..')) {
      throw new KeepwardError('directory-unsafe', `"${path}" is no plain absolute path of a directory`)
    }
    return new SafeDir(path, walk(names, options), options.volatile ?? false)
  }

  /** A directory in this one. */
  sub(name: string, options: DirectoryOptions = {}): SafeDir {
    const path = this.pathOf(name)
    return new SafeDir(path, enterLast(this.#fd, name, path, options), options.volatile ?? this.#volatile)
  }

  /** The path of a file in it, for the arguments of programs. */
  pathOf(name: string): string {
    return `${this.path}/${checkedName(name)}`
  }

  /**
   * Replaces a file as one step: after a crash it holds the old content or the new, never a part. Durable when it
   * resolves, unless the directory is volatile. A symlink of that name is replaced, not followed.
   */
  async write(name: string, data: string | Uint8Array, options: { readonly mode?: number } = {}): Promise<void> {
    await this.#attempt(`write ${this.pathOf(name)}`, () =>
      this.#calls.write(this.#self, name, data, options.mode ?? 0o600),
    )
  }

  /** The content of a regular file of ours, without other names; undefined when there is none. Throws `file-unsafe`. */
  async read(name: string, options: { readonly maxBytes?: number } = {}): Promise<Buffer | undefined> {
    const path = this.pathOf(name)
    return this.#attempt(`read ${path}`, () =>
      this.#calls.read(this.#self, name, path, options.maxBytes ?? 1024 * 1024),
    )
  }

  /** {@link read} as UTF-8. */
  async readText(name: string, options: { readonly maxBytes?: number } = {}): Promise<string | undefined> {
    return (await this.read(name, options))?.toString('utf8')
  }

  /** The text of a file that only its owner, root or we, may read. Throws `file-unsafe`, without a word of the content. */
  readSecret(name: string): string {
    const path = this.pathOf(name)
    const fd = this.openFile(name, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = fstatSync(fd)
      const owned = stats.uid === 0 || stats.uid === process.geteuid?.()
      const closed = (stats.mode & 0o077) === 0
      if (stats.isFile() && owned && closed && stats.size <= maxSecretBytes) return readFileSync(fd, 'utf8')
      throw unsafe(
        `${path} must be a file of ours or root's with mode 0600, not of uid ${stats.uid} with ${octal(stats)}`,
      )
    } finally {
      closeSync(fd)
    }
  }

  /** Removes a file, whatever it is; absent is fine. */
  async remove(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => this.#calls.remove(this.#self, name))
  }

  /** Removes a directory in it with all that it holds, following no link; absent is fine. */
  async removeDirectory(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => rm(this.#at(name), { recursive: true, force: true }))
  }

  async list(): Promise<string[]> {
    return this.#attempt(`list ${this.path}`, () => readdir(this.#self))
  }

  /**
   * A FIFO of that name, made 0600 when there is none, as a descriptor open for reading and writing: so its reader never
   * sees an end when a writer leaves. Throws `file-unsafe` when something else bears the name.
   */
  makeFifo(name: string): number {
    try {
      native().mkfifo(this.#at(name), 0o600)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw failed(`make the FIFO ${this.pathOf(name)}`, error)
    }
    const fd = this.openFile(name, constants.O_RDWR | constants.O_NONBLOCK)
    const stats = fstatSync(fd)
    if (stats.isFIFO() && stats.uid === process.geteuid?.() && (stats.mode & 0o077) === 0) return fd
    closeSync(fd)
    throw unsafe(`${this.pathOf(name)} is not a FIFO of ours that only we can open`)
  }

  /** A descriptor of a file by plain open(2) flags, O_NOFOLLOW added; the caller closes it. */
  openFile(name: string, flags: number, mode = 0o600): number {
    try {
      return openSync(this.#at(name), flags | constants.O_NOFOLLOW, mode)
    } catch (error) {
      throw failed(`open ${this.pathOf(name)}`, error)
    }
  }

  /** No operation may start after it; those that run are finished. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#closeWhenIdle()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #attempt<T>(says: string, body: () => Promise<T>): Promise<T> {
    if (!this.#open) throw new KeepwardError('internal', `${this.path} is closed`)
    this.#pending++
    try {
      return await body()
    } catch (error) {
      throw error instanceof KeepwardError ? error : failed(says, error)
    } finally {
      this.#pending--
      this.#closeWhenIdle()
    }
  }

  #closeWhenIdle(): void {
    if (!this.#open && this.#pending === 0) closeSync(this.#fd)
  }

  get #calls(): typeof durableCalls {
    return this.#volatile ? volatileCalls : durableCalls
  }

  get #self(): string {
    return `/proc/self/fd/${this.#fd}`
  }

  #at(name: string): string {
    if (!this.#open) throw new KeepwardError('internal', `${this.path} is closed`)
    return `${this.#self}/${checkedName(name)}`
  }
}

const sticky = 0o1000
const maxSecretBytes = 4096
const nameForm = /^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,199}$/

function walk(names: readonly string[], options: DirectoryOptions): number {
  let path = ''
  let fd = enter(undefined, '/', '/')
  for (const [at, name] of names.entries()) {
    path += `/${name}`
    const parent = fd
    try {
      fd = at === names.length - 1 ? enterLast(parent, name, path, options) : enterParent(parent, name, path, options)
    } finally {
      closeSync(parent)
    }
  }
  return fd
}

function enterParent(parent: number, name: string, path: string, options: DirectoryOptions): number {
  return options.create === true ? enterOrMake(parent, name, path, 0o755) : enter(parent, name, path, options.owner)
}

function enterLast(parent: number, name: string, path: string, options: DirectoryOptions): number {
  const mode = options.mode ?? 0o700
  if (mode === 'any') return enter(parent, name, path, options.owner)
  const fd = options.create === true ? enterOrMake(parent, name, path, mode) : enter(parent, name, path)
  const stats = fstatSync(fd)
  const ours = stats.uid === process.geteuid?.()
  if (ours && (stats.mode & 0o7777) === mode) return fd
  if (ours && ((stats.mode & 0o7777) ^ mode) === passBits) {
    fchmodSync(fd, mode)
    return fd
  }
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `${path} belongs to uid ${stats.uid} with mode ${octal(stats)}`, {
    hint: `chown it to uid ${process.geteuid?.() ?? 0} and chmod it to ${mode.toString(8).padStart(4, '0')}`,
  })
}

/** Search permission for group and others. */
const passBits = 0o011

/** Opens one directory without following a symlink; its owner is root or we, and nobody else can put names into it. */
function enter(parent: number | undefined, name: string, path: string, owner?: 'root'): number {
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
  const trusted = stats.uid === 0 || (owner === undefined && stats.uid === process.geteuid?.())
  // A sticky directory such as /tmp lets others add names, but not replace those of others (inode(7)).
  const closed = (stats.mode & 0o022) === 0 || (stats.mode & sticky) !== 0
  if (trusted && closed) return fd
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `Others can change ${path}: owner ${stats.uid}, mode ${octal(stats)}`, {
    hint: `it and every directory above it must belong to root${owner === undefined ? ', or to us,' : ''} and be writable by no one else`,
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

function failed(says: string, cause: unknown): KeepwardError {
  // O_NOFOLLOW's word for a symlink.
  if (errnoOf(cause) === 'ELOOP') return new KeepwardError('file-unsafe', `Cannot ${says}: it is a symlink`, { cause })
  return new KeepwardError('file-failed', `Cannot ${says}`, { cause })
}

function checkedName(name: string): string {
  if (nameForm.test(name)) return name
  throw new KeepwardError('file-unsafe', `"${name}" is no file name; wanted A-Z a-z 0-9 . _ @ : -`)
}
