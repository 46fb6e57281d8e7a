/** What is told again and again: why, and how many of it. */
export interface Tallied {
  readonly reason: string
  readonly count: number
}

/** The first of a kind is written at once, the rest of the same ten seconds as one record. */
const periodMs = 10_000
const defaultMaxKinds = 256

/** Counts what others can cause as often as they like, so that a record of all of it is never more than a few lines. */
export class Tallies<E extends Tallied> {
  readonly #write: (entry: E) => void
  readonly #maxKinds: number
  /** By kind: the newest entry, and how many were not written yet. */
  readonly #kinds = new Map<string, { entry: E; count: number }>()
  readonly #timer: NodeJS.Timeout

  /** `maxKinds` at once; beyond, they are counted together. */
  constructor(write: (entry: E) => void, maxKinds = defaultMaxKinds) {
    this.#write = write
    this.#maxKinds = maxKinds
    this.#timer = setInterval(() => {
      this.#settle()
    }, periodMs).unref()
  }

  note(kind: string, entry: E): void {
    const tally = this.#kinds.get(kind) ?? this.#open(kind, entry)
    if (tally === undefined) return
    tally.count += 1
    if (tally.entry.reason === entry.reason) tally.entry = entry
  }

  /** Write what is counted and not written yet. */
  close(): void {
    clearInterval(this.#timer)
    this.#settle()
  }

  /** Undefined when the entry was written as the first of its kind. */
  #open(kind: string, entry: E): { entry: E; count: number } | undefined {
    const full = this.#kinds.size >= this.#maxKinds
    const rest = full ? this.#kinds.get('rest') : undefined
    if (rest !== undefined) return rest
    this.#kinds.set(full ? 'rest' : kind, { entry: full ? { ...entry, reason: 'many' } : entry, count: 0 })
    this.#write(entry)
    return undefined
  }

  #settle(): void {
    for (const [kind, { entry, count }] of this.#kinds) {
      if (count === 0) this.#kinds.delete(kind)
      else this.#kinds.set(kind, { entry, count: 0 })
      if (count > 0) this.#write({ ...entry, count })
    }
  }
}
