/** A token bucket: `perSecond` messages for ever, `burst` at once. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

interface Level {
  tokens: number
  asOfMs: number
}

/** Buckets of one rate by key. Full ones are forgotten, so that memory holds only those who spoke of late. */
export class Buckets<K> {
  readonly #rate: Rate
  readonly #maxKeys: number
  readonly #levels = new Map<K, Level>()

  constructor(rate: Rate, maxKeys: number) {
    this.#rate = rate
    this.#maxKeys = maxKeys
  }

  get size(): number {
    return this.#levels.size
  }

  /** Take a token; false when there is none, or when too many others spoke of late to tell. */
  take(key: K, nowMs: number): boolean {
    const level = this.#levelOf(key, nowMs)
    if (level === undefined) return false
    const { perSecond, burst } = this.#rate
    level.tokens = Math.min(burst, level.tokens + ((nowMs - level.asOfMs) * perSecond) / 1000)
    level.asOfMs = nowMs
    if (level.tokens < 1) return false
    level.tokens -= 1
    return true
  }

  #levelOf(key: K, nowMs: number): Level | undefined {
    const known = this.#levels.get(key)
    if (known !== undefined) return known
    if (this.#levels.size >= this.#maxKeys) this.#forgetFull(nowMs)
    if (this.#levels.size >= this.#maxKeys) return undefined
    const made = { tokens: this.#rate.burst, asOfMs: nowMs }
    this.#levels.set(key, made)
    return made
  }

  #forgetFull(nowMs: number): void {
    const { perSecond, burst } = this.#rate
    for (const [key, { tokens, asOfMs }] of this.#levels) {
      if (tokens + ((nowMs - asOfMs) * perSecond) / 1000 >= burst) this.#levels.delete(key)
    }
  }
}
