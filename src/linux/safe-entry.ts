import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs'
import type { Stats } from 'node:fs'
import { errnoOf } from '../base/error.ts'
import { demandOneName, failed, isOurs, modeOf, octal, unsafe } from './safe-error.ts'

export interface Access {
  readonly mode: number
  /** Of the owner, when it is not we. */
  readonly uid?: number
  readonly gid?: number
}

/** A FIFO would be read from and a device set going by opening it: this opens nothing (O_PATH, open(2)). Not in Node.js. */
export const O_PATH = 0o10000000

/**
 * What bears a name at this moment, a link too, held by a descriptor: whatever takes the name afterwards, this is looked at,
 * changed and opened.
 */
export class Entry implements Disposable {
  readonly #fd: number
  readonly #says: string

  private constructor(fd: number, says: string) {
    this.#fd = fd
    this.#says = says
  }

  /**
   * `says`: its path for messages. Undefined when there is nothing. Throws `file-failed`, and `file-unsafe` unless it is of
   * that kind, ours, root's or that user's, with one name.
   */
  static find(path: string, says: string, kind: Kind, uid?: number): Entry | undefined {
    const fd = openPath(path, says)
    if (fd === undefined) return undefined
    const entry = new Entry(fd, says)
    try {
      entry.#demand(kind, path, uid)
      return entry
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** As they are now. */
  get stats(): Stats {
    return fstatSync(this.#fd)
  }

  /** Leads the kernel to it and nowhere else. */
  get path(): string {
    return `/proc/self/fd/${this.#fd}`
  }

  /** Gives it exactly this mode, whatever the umask was, and looks whether that holds. Throws `file-unsafe`, `file-failed`. */
  give(access: Access): Stats {
    const { mode, uid, gid } = access
    try {
      if (uid !== undefined || gid !== undefined) chownSync(this.path, uid ?? -1, gid ?? -1)
      if (modeOf(this.stats) !== mode) chmodSync(this.path, mode)
    } catch (error) {
      throw failed(`set the mode of ${this.#says}`, error)
    }
    return this.demandAccess(access)
  }

  /** Throws `file-unsafe` unless its owner, mode and group are exactly these. */
  demandAccess({ mode, uid, gid }: Access): Stats {
    const { stats } = this
    const isOwned = uid === undefined ? isOurs(stats) : stats.uid === uid
    if (isOwned && modeOf(stats) === mode && (gid === undefined || stats.gid === gid)) return stats
    throw unsafe(`${this.#says} has not the owner and mode wanted: uid ${stats.uid}, mode ${octal(stats)}`)
  }

  /** A descriptor of the very same thing; the caller closes it. */
  open(flags: number): number {
    try {
      return openSync(this.path, flags)
    } catch (error) {
      throw failed(`open ${this.#says}`, error)
    }
  }

  /** Whether any thread of this process can read or write it: what a library opened by a path is then this. */
  isOpenHere(): boolean {
    const { ino, dev } = this.stats
    return readdirSync('/proc/self/fd').some((name) => {
      const found = statsOf(Number(name))
      return found?.ino === ino && found.dev === dev && !onlyNames(name)
    })
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }

  #demand(kind: Kind, path: string, uid: number | undefined): void {
    const { stats } = this
    if (stats.isSymbolicLink()) throw unsafe(`${this.#says} must be a ${kind}: it is a symlink`)
    if (!kinds[kind](stats) || (stats.uid !== 0 && stats.uid !== uid && !isOurs(stats)))
      throw unsafe(`${this.#says} is not a ${kind} of ours; it is left alone`)
    demandOneName(stats, lstatSync(path, { throwIfNoEntry: false }), this.#says)
  }
}

export type Kind = keyof typeof kinds

const kinds = {
  'regular file': (stats: Stats) => stats.isFile(),
  FIFO: (stats: Stats) => stats.isFIFO(),
  socket: (stats: Stats) => stats.isSocket(),
}

function openPath(path: string, says: string): number | undefined {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw failed(`look at ${says}`, error)
  }
}

/** By the flags of the descriptor, octal (proc_pid_fdinfo(5)). True as well when another thread has closed it meanwhile. */
function onlyNames(fd: string): boolean {
  try {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? ''
    return (Number.parseInt(flags, 8) & O_PATH) !== 0
  } catch {
    return true
  }
}

/** Undefined when another thread has closed it meanwhile. */
function statsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}
