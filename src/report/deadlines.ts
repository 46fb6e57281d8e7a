/**
 * Work that is given up after so many milliseconds, or all of it at once. A signal of `AbortSignal.timeout()` holds its memory until its time is up,
 * which at thousands of reports a second is 100 MB.
 */
export class Deadlines {
  readonly #ms: number
  readonly #running = new Set<AbortController>()
  #isOver = false

  constructor(ms: number) {
    this.#ms = ms
  }

  /** Rejects as `work` does. */
  async run(work: (signal: AbortSignal) => Promise<void> | undefined): Promise<void> {
    const one = new AbortController()
    if (this.#isOver) one.abort()
    const timer = setTimeout(() => {
      one.abort(new DOMException(`It took longer than ${String(this.#ms)} ms`, 'TimeoutError'))
    }, this.#ms)
    this.#running.add(one)
    try {
      await work(one.signal)
    } finally {
      clearTimeout(timer)
      this.#running.delete(one)
    }
  }

  /** What runs, and what is to run. */
  giveUp(): void {
    this.#isOver = true
    for (const one of this.#running) one.abort()
  }
}
