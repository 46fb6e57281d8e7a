/**
 * How long this process's event loop was held at once, by the CPU time that it took: what the machine gave to others meanwhile
 * says nothing of us.
 */
export class LoopWatch implements Disposable {
  readonly #timer: NodeJS.Timeout
  #longestMs = 0

  constructor() {
    let last = cpuMs()
    this.#timer = setInterval(() => {
      const now = cpuMs()
      this.#longestMs = Math.max(this.#longestMs, now - last)
      last = now
    }, 5)
  }

  get longestMs(): number {
    return this.#longestMs
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
