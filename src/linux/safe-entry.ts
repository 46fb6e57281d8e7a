import { chmodSync, chownSync, closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs'
import { errnoOf } from '../base/error.ts'
import { demandOneName, failed, isOurs, modeOf, octal, unsafe } from './safe-error.ts'

export interface Access {
  readonly mode: number
  readonly gid?: number
}

/** A FIFO would be read from and a device set going by opening it: this opens nothing (O_PATH, open(2)). Not in Node.js. */
const O_PATH = 0o10000000

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

  /** `says`: its path for messages. Undefined when there is nothing. Throws `file-failed`. */
  static find(path: string, says: string): Entry | undefined {
    try {
      return new Entry(openSync(path, O_PATH | constants.O_NOFOLLOW), says)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw failed(`look at ${says}`, error)
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

  /** Throws `file-unsafe` unless it is such a thing of ours, or root's, with one name. */
  demand(kind: keyof typeof kinds): this {
    const { stats } = this
    if (stats.isSymbolicLink()) throw unsafe(`${this.#says} must be a ${kind}: it is a symlink`)
    if (!kinds[kind](stats) || (stats.uid !== 0 && !isOurs(stats)))
      throw unsafe(`${this.#says} is not a ${kind} of ours; it is left alone`)
    demandOneName(stats, this.#says)
    return this
  }

  /** Gives it exactly this mode, whatever the umask was, and looks whether that holds. Throws `file-unsafe`, `file-failed`. */
  give({ mode, gid }: Access): Stats {
    try {
      if (gid !== undefined) chownSync(this.path, -1, gid)
      if (modeOf(this.stats) !== mode) chmodSync(this.path, mode)
    } catch (error) {
      throw failed(`set the mode of ${this.#says}`, error)
    }
    return this.demandAccess({ mode, ...(gid === undefined ? {} : { gid }) })
  }

  /** Throws `file-unsafe` unless it is ours with exactly this mode and group. */
  demandAccess({ mode, gid }: Access): Stats {
    const { stats } = this
    if (isOurs(stats) && modeOf(stats) === mode && (gid === undefined || stats.gid === gid)) return stats
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

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

const kinds = {
  'regular file': (stats: Stats) => stats.isFile(),
  FIFO: (stats: Stats) => stats.isFIFO(),
  socket: (stats: Stats) => stats.isSocket(),
}
