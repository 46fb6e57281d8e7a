import { describeError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import type { RouterEffect } from '../router/effect.ts'
import type { RouterEvent } from '../router/event.ts'
import type { Router } from '../router/router.ts'
import type { RouterId } from '../router/spec.ts'
import { step } from '../router/step.ts'

/** One router's executors: a missing one does not compile. */
export type Executors = {
  readonly [T in RouterEffect['type']]: (effect: Extract<RouterEffect, { type: T }>, queue: RouterQueue) => void
}

/** More events than this at once can only be a loop; the kernel and keepalived are asked again by the next pass. */
const maxQueued = 1024

/**
 * The ordered queue of one router: each event is stepped to its end before the next. Executors start work and return;
 * what comes of it arrives as a later event, so a slow keepalived delays nobody, not even its own kernel events.
 */
export class RouterQueue {
  router: Router
  /** Events thrown away at the bound, and failures inside the core: both are defects, counted and shown. */
  defects = 0
  readonly #executors: Executors
  readonly #clock: Clock
  readonly #onDefect: (error: unknown) => void
  readonly #events: RouterEvent[] = []
  #draining = false
  /** What fails while a defect is noted is noted no more: it would go on for ever. */
  #noting = false
  #wake: NodeJS.Timeout | undefined
  #closed = false

  constructor(router: Router, executors: Executors, clock: Clock, onDefect: (error: unknown) => void) {
    this.router = router
    this.#executors = executors
    this.#clock = clock
    this.#onDefect = onDefect
  }

  get id(): RouterId {
    return this.router.id
  }

  get depth(): number {
    return this.#events.length
  }

  get closed(): boolean {
    return this.#closed
  }

  enqueue(event: RouterEvent): void {
    if (this.#closed) return
    if (this.#events.length >= maxQueued) {
      this.defect(new Error(`The queue of router ${this.id} is full; event ${event.type} is dropped`))
      return
    }
    this.#events.push(event)
    if (!this.#draining) this.#drain()
  }

  /** Send `woken` after so long; an earlier wish is replaced. */
  wakeAfter(ms: number): void {
    clearTimeout(this.#wake)
    this.#wake = setTimeout(() => {
      this.enqueue({ type: 'woken' })
    }, ms)
  }

  /** Do something for this router; when it throws, that is a defect of this router's work alone. */
  async attempt(work: () => unknown): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.defect(error)
    }
  }

  /** Counted, told, and shown as a condition of the router. */
  defect(error: unknown): void {
    this.defects += 1
    this.#onDefect(error)
    if (this.#noting || this.#closed || this.#events.length >= maxQueued) return
    this.enqueue({ type: 'defect', text: describeError(error).slice(0, 500) })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#wake)
  }

  #drain(): void {
    this.#draining = true
    try {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) this.#handle(event)
    } finally {
      this.#draining = false
    }
  }

  #handle(event: RouterEvent): void {
    this.#noting = event.type === 'defect'
    void this.attempt(() => {
      const { router, effects } = step(this.router, event, this.#clock())
      this.router = router
      // One effect that cannot be carried out must not take the next with it: the core counts on each.
      for (const effect of effects) {
        void this.attempt(() => {
          this.#execute(effect)
        })
      }
    })
    this.#noting = false
  }

  #execute(effect: RouterEffect): void {
    // TypeScript does not see that the key and the parameter are of one member of the union.
    const execute = this.#executors[effect.type] as (effect: RouterEffect, queue: RouterQueue) => void
    execute(effect, this)
  }
}
