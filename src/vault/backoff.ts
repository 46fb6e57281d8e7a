const minMs = 1000
const maxMs = 60_000

/** Longer and longer pauses between tries, each a little different from that of other hosts, which lost the same Vault. */
export class Backoff {
  #pauseMs = 0

  /** How long to wait after one more failure. */
  next(): number {
    this.#pauseMs = Math.min(maxMs, Math.max(minMs, this.#pauseMs * 2))
    return this.#pauseMs * (0.75 + Math.random() / 4)
  }

  reset(): void {
    this.#pauseMs = 0
  }
}
