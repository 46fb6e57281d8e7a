import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs'
import { type FileHandle, open, readdir, rm, rename, unlink } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'

export interface DirectoryOptions {
  /** Make what is missing: parents 0755, the directory itself `mode`. */
  readonly create?: boolean
  /** The exact permission bits that the directory must have; 0700. */
  readonly mode?: number
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
  #open = true
  /** Operations that still go through the descriptor: it must not become another file's under them. */
  #pending = 0

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  /** Throws `directory-unsafe` or `file-failed`. */
  static open(path: string, options: DirectoryOptions = {}): SafeDir {
    const names = path.split('/').slice(1)
    if (!path.startsWith('/') || names.some((name) => name === '' || name === '.' || name === '..')) {
      throw new KeepwardError('directory-unsafe', `"${path}" is no plain absolute path of a directory`)
    }
    return new SafeDir(path, walk(names, options))
  }

  /** A directory in this one. */
  sub(name: string, options: DirectoryOptions = {}): SafeDir {
    const path = this.pathOf(name)
    return new SafeDir(path, enterLast(this.#fd, name, path, options))
  }

  /** The path of a file in it, for the arguments of programs. */
  pathOf(name: string): string {
    return `${this.path}/${checkedName(name)}`
  }

  /**
   * Replaces a file as one step: after a crash it holds the old content or the new, never a part. Durable when it
   * resolves. A symlink of that name is replaced, not followed.
   */
  async write(name: string, data: string | Uint8Array, options: { readonly mode?: number } = {}): Promise<void> {
    const target = this.#at(name)
    const temporary = this.#at(`tmp-${randomBytes(8).toString('hex')}`)
    await this.#attempt(`write ${this.pathOf(name)}`, async () => {
      try {
        await writeNew(temporary, data, options.mode ?? 0o600)
        await rename(temporary, target)
      } catch (error) {
        await unlink(temporary).catch(() => undefined)
        throw error
      }
      await syncDirectory(`/proc/self/fd/${this.#fd}`)
    })
  }

  /** The content of a regular file of ours, without other names; undefined when there is none. Throws `file-unsafe`. */
  async read(name: string, options: { readonly maxBytes?: number } = {}): Promise<Buffer | undefined> {
    const maxBytes = options.maxBytes ?? 1024 * 1024
    return this.#attempt(`read ${this.pathOf(name)}`, async () => {
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const file = await open(this.#at(name), flags).catch(unlessAbsent)
      if (file === undefined) return undefined
      try {
        return await readChecked(file, this.pathOf(name), maxBytes)
      } finally {
        await file.close()
      }
    })
  }

  /** {@link read} as UTF-8. */
  async readText(name: string, options: { readonly maxBytes?: number } = {}): Promise<string | undefined> {
    return (await this.read(name, options))?.toString('utf8')
  }

  /** Removes a file, whatever it is; absent is fine. */
  async remove(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => unlink(this.#at(name)).catch(unlessAbsent))
  }

  /** Removes a directory in it with all that it holds, following no link; absent is fine. */
  async removeDirectory(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => rm(this.#at(name), { recursive: true, force: true }))
  }

  async list(): Promise<string[]> {
    return this.#attempt(`list ${this.path}`, () => readdir(`/proc/self/fd/${this.#fd}`))
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

  #at(name: string): string {
    if (!this.#open) throw new KeepwardError('internal', `${this.path} is closed`)
    return `/proc/self/fd/${this.#fd}/${checkedName(name)}`
  }
}

const sticky = 0o1000
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
  if (options.create === true) make(parent, name, path, 0o755)
  return enter(parent, name, path)
}

function enterLast(parent: number, name: string, path: string, options: DirectoryOptions): number {
  const mode = options.mode ?? 0o700
  if (options.create === true) make(parent, name, path, mode)
  const fd = enter(parent, name, path)
  const stats = fstatSync(fd)
  if (stats.uid === process.geteuid?.() && (stats.mode & 0o7777) === mode) return fd
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `${path} belongs to uid ${stats.uid} with mode ${octal(stats)}`, {
    hint: `chown it to uid ${process.geteuid?.() ?? 0} and chmod it to ${mode.toString(8).padStart(4, '0')}`,
  })
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
  const trusted = stats.uid === 0 || stats.uid === process.geteuid?.()
  // A sticky directory such as /tmp lets others add names, but not replace those of others (inode(7)).
  const closed = (stats.mode & 0o022) === 0 || (stats.mode & sticky) !== 0
  if (trusted && closed) return fd
  closeSync(fd)
  throw new KeepwardError('directory-unsafe', `Others can change ${path}: owner ${stats.uid}, mode ${octal(stats)}`, {
    hint: 'it and every directory above it must belong to root, or to us, and be writable by no one else',
  })
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

async function writeNew(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(path, flags, 0o600)
  try {
    await file.chmod(mode)
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function readChecked(file: FileHandle, path: string, maxBytes: number): Promise<Buffer> {
  const stats = await file.stat()
  if (!stats.isFile()) throw unsafe(`${path} is no regular file`)
  if (stats.nlink !== 1) throw unsafe(`${path} has ${stats.nlink} names (hard links), wanted one`)
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) throw unsafe(`${path} belongs to uid ${stats.uid}`)
  if ((stats.mode & 0o022) !== 0) throw unsafe(`Others can write ${path}: mode ${octal(stats)}`)
  if (stats.size > maxBytes) throw unsafe(`${path} is ${stats.size} bytes, at most ${maxBytes} are read`)
  const bytes = Buffer.alloc(stats.size + 1)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
  if (bytesRead > stats.size) throw unsafe(`${path} grew while it was read`)
  return bytes.subarray(0, bytesRead)
}

function unlessAbsent(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
  return undefined
}

function failed(says: string, cause: unknown): KeepwardError {
  // O_NOFOLLOW's word for a symlink.
  if (errnoOf(cause) === 'ELOOP') return new KeepwardError('file-unsafe', `Cannot ${says}: it is a symlink`, { cause })
  return new KeepwardError('file-failed', `Cannot ${says}`, { cause })
}

const unsafe = (message: string): KeepwardError => new KeepwardError('file-unsafe', message)

const octal = (stats: Stats): string => (stats.mode & 0o7777).toString(8).padStart(4, '0')

function checkedName(name: string): string {
  if (nameForm.test(name)) return name
  throw new KeepwardError('file-unsafe', `"${name}" is no file name; wanted A-Z a-z 0-9 . _ @ : -`)
}
