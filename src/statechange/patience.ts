interface Waiting {
  readonly untilMs: number
  readonly giveUp: () => void
}

/**
 * Waits for many things, each as long as all others: so those that began first end first, and one timer serves all. The timer
 * of each request would cost more than what it waits for.
 */
export class Patience {
  readonly #ms: number
  /** In the order of their deadlines. */
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** How a promise stands at the deadline at the latest; it is left to go on. */
  settled(work: Promise<unknown>): Promise<'durable' | 'failed' | 'pending'> {
    return new Promise((resolve) => {
      const one: Waiting = {
        untilMs: performance.now() + this.#ms,
        giveUp: () => {
          resolve('pending')
        },
      }
      this.#waiting.add(one)
      this.#timer ??= setTimeout(this.#lookThrough, this.#ms)
      const end = (outcome: 'durable' | 'failed') => {
        this.#waiting.delete(one)
        resolve(outcome)
      }
      work.then(
        () => {
          end('durable')
        },
        () => {
          end('failed')
        },
      )
    })
  }

  readonly #lookThrough = (): void => {
    this.#timer = undefined
    const nowMs = performance.now()
    for (const one of this.#waiting) {
      if (one.untilMs > nowMs) {
        this.#timer = setTimeout(this.#lookThrough, one.untilMs - nowMs)
        return
      }
      this.#waiting.delete(one)
      one.giveUp()
    }
  }
}
