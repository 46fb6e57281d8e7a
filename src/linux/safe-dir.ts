import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { native } from './native.ts'
import { Entry, type Kind } from './safe-entry.ts'
import { demandSecret, failed, unsafe, type SecretKind } from './safe-error.ts'
import { appendDurably, durableCalls, removeNow, isTemporary, volatileCalls } from './safe-file.ts'
import { openDirectory, openDirectoryIn, openFileAt, type OpenOptions } from './safe-open.ts'
import { removeTree } from './safe-remove.ts'

export interface DirectoryOptions extends OpenOptions {
  /**
   * It lives for one boot, on a tmpfs: nothing in it is synced, and small calls are made on the event loop, which memory
   * does not block. A directory in it inherits this; false.
   */
  readonly volatile?: boolean
}

/** A directory as another thread can be told of it. */
export interface DirectoryHandle {
  readonly path: string
  readonly fd: number
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
    return new SafeDir(path, openDirectory(path, options), options.volatile ?? false)
  }

  /** The same directory with a descriptor of its own, in a thread that was told of one which is open at this moment. */
  static again({ path, fd }: DirectoryHandle): SafeDir {
    try {
      return new SafeDir(path, openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_DIRECTORY), false)
    } catch (error) {
      throw failed(`open ${path} again`, error)
    }
  }

  get handle(): DirectoryHandle {
    return { path: this.path, fd: this.#held }
  }

  sub(name: string, options: DirectoryOptions = {}): SafeDir {
    const path = this.pathOf(name)
    return new SafeDir(path, openDirectoryIn(this.#held, name, path, options), options.volatile ?? this.#volatile)
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

  /** The content of a file that only its owner, root or we, may read. Throws `file-unsafe`, without a word of the content. */
  readSecret(name: string, kind: SecretKind = 'file'): Secret {
    const path = this.pathOf(name)
    const fd = this.openFile(name, constants.O_RDONLY)
    try {
      demandSecret(fstatSync(fd), path, kind)
      return new Secret(readFileSync(fd))
    } finally {
      closeSync(fd)
    }
  }

  /**
   * Writes at the end of a file, which is made when there is none; after a crash a part of it may be there. Durable when it resolves,
   * the name too. Throws as {@link openFile} does.
   */
  async append(name: string, data: string, options: { readonly mode?: number } = {}): Promise<void> {
    await this.#attempt(`write ${this.pathOf(name)}`, async () => {
      const isNew = this.look(name) === undefined
      const fd = this.openFile(name, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, options.mode)
      try {
        await appendDurably(fd, Buffer.from(data))
      } finally {
        closeSync(fd)
      }
      if (isNew) this.flush()
    })
  }

  /** Removes a file, whatever it is; absent is fine. */
  async remove(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => this.#calls.remove(this.#self, name))
  }

  /** Removes a directory in it, or whatever bears the name, with all that it holds, following no link; absent is fine. */
  async removeDirectory(name: string): Promise<void> {
    await this.#attempt(`remove ${this.pathOf(name)}`, () => removeTree(this.#at(name)))
  }

  async list(): Promise<string[]> {
    return this.#attempt(`list ${this.path}`, () => readdir(this.#self))
  }

  /** Removes what writes left that an end of their process cut short. Only for who alone writes here. */
  async removeUnfinished(): Promise<void> {
    for (const name of (await this.list()).filter(isTemporary)) await this.remove(name)
  }

  /**
   * A FIFO of that name, made 0600 when there is none, as a descriptor open for reading and writing: so its reader never
   * sees an end when a writer leaves. Throws `file-unsafe` when something else bears the name.
   */
  makeFifo(name: string): number {
    const path = this.pathOf(name)
    const at = this.#at(name)
    const umask = process.umask(0o077)
    try {
      native().mkfifo(at, 0o600)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw failed(`make the FIFO ${path}`, error)
    } finally {
      process.umask(umask)
    }
    using fifo = this.find(name, 'FIFO')
    if (fifo === undefined) throw unsafe(`${path} was removed as soon as it was made`)
    // It is not put right: one with another mode is not of our making, and may have been another's a moment ago.
    fifo.demandAccess({ mode: 0o600 })
    return fifo.open(constants.O_RDWR | constants.O_NONBLOCK)
  }

  /**
   * A descriptor of a regular file by plain open(2) flags; the caller closes it. One that O_CREAT makes has the mode asked,
   * whatever the umask. Throws `file-unsafe` when it is a link, has other names, or others own or can write it.
   */
  openFile(name: string, flags: number, mode = 0o600): number {
    return openFileAt(this.#at(name), this.pathOf(name), flags, mode)
  }

  /**
   * What bears the name now, held; undefined when nothing does. Throws `file-unsafe` unless it is of that kind, ours or
   * root's, with one name.
   */
  find(name: string, kind: Kind, uid?: number): Entry | undefined {
    return Entry.find(this.#at(name), this.pathOf(name), kind, uid)
  }

  /** What bears the name now, a link not followed; undefined when nothing does. */
  look(name: string): Stats | undefined {
    return attempt(`look at ${this.pathOf(name)}`, () => lstatSync(this.#at(name), { throwIfNoEntry: false }))
  }

  /** {@link remove} on this thread. */
  drop(name: string): void {
    attempt(`remove ${this.pathOf(name)}`, () => {
      removeNow(this.#at(name))
    })
  }

  /** Gives a file another's name as one step, durably, on this thread. A symlink of that name is replaced, not followed. */
  replace(name: string, by: string): void {
    attempt(`replace ${this.pathOf(name)}`, () => {
      renameSync(this.#at(by), this.#at(name))
    })
    this.flush()
  }

  /** Waits until the names in it are on the disk. */
  flush(): void {
    attempt(`sync ${this.path}`, () => {
      fsyncSync(this.#held)
    })
  }

  /**
   * A file's path by the descriptor, for a call that takes nothing else, such as bind(2). Good until {@link hold} is released.
   */
  via(name: string): string {
    return this.#at(name)
  }

  /** Keeps the descriptor open after `close`, until what it returns is called, once. */
  hold(): () => void {
    if (!this.#open) throw new KeepwardError('internal', `${this.path} is closed`)
    this.#pending++
    return () => {
      this.#pending--
      this.#closeWhenIdle()
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
    const release = this.hold()
    try {
      return await body()
    } catch (error) {
      throw error instanceof KeepwardError ? error : failed(says, error)
    } finally {
      release()
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

  /** The descriptor, which is no longer this directory's once it is closed. */
  get #held(): number {
    if (this.#open) return this.#fd
    throw new KeepwardError('internal', `${this.path} is closed`)
  }

  #at(name: string): string {
    return `/proc/self/fd/${this.#held}/${checkedName(name)}`
  }
}

const nameForm = /^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,199}$/

function attempt<T>(says: string, body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw error instanceof KeepwardError ? error : failed(says, error)
  }
}

function checkedName(name: string): string {
  if (nameForm.test(name)) return name
  throw new KeepwardError('file-unsafe', `"${name}" is no file name; wanted A-Z a-z 0-9 . _ @ : -`)
}
