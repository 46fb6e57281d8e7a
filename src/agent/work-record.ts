import { Tallies, type Tallied } from '../base/tally.ts'
import type { JsonObject } from '../journal/record.ts'
import { objectOf, type Outcome, type Step } from '../router/operation.ts'
import type { Run, RunOutcome } from '../router/reaction.ts'
import type { RouterId } from '../router/spec.ts'

/** Root's work on routers, as it is written down: what is the same as before is not told again and again. */
export class WorkRecord {
  readonly #append: (router: RouterId, body: JsonObject) => void
  /** How the work on each router, and on each of its services, failed last, until it does not. */
  readonly #failures = new Map<string, string>()
  /** What was done well on routers, which are as many as the config names: none of it may be counted together with another's. */
  readonly #performed: Tallies<Performed>

  constructor(append: (router: RouterId, body: JsonObject) => void) {
    this.#append = append
    this.#performed = new Tallies(({ router, steps, configDigest, count }) => {
      append(router, { change: 'performed', steps, code: null, text: null, configDigest, count })
    }, Infinity)
  }

  /** The last of the steps failed where the outcome says so. */
  note(router: RouterId, steps: readonly Step[], outcome: Outcome, configDigest: string | null): void {
    const done = steps.map(({ operation }) => operation.verb + objectOf(operation))
    const reason = done.join()
    if (outcome.ok) {
      this.#failures.delete(router)
      this.#performed.note(`${router} ${reason}`, { router, steps: done, configDigest, reason, count: 1 })
      return
    }
    const failure = `${outcome.code} ${reason}`
    // Tried again and again, it is the same: the condition says that it goes on.
    if (failure === this.#failures.get(router)) return
    this.#failures.set(router, failure)
    const text = outcome.text.slice(0, 1000)
    this.#append(router, { change: 'failed', steps: done, code: outcome.code, text, configDigest })
  }

  /** What was done for a service that follows the role. */
  noteReaction(router: RouterId, { reaction, stance }: Run, outcome: RunOutcome, tookMs: number): void {
    const key = `${router} ${reaction}`
    const failure = outcome.ok ? undefined : `${outcome.code} ${stance}`
    if (failure !== undefined && failure === this.#failures.get(key)) return
    if (failure === undefined) this.#failures.delete(key)
    else this.#failures.set(key, failure)
    const change = outcome.ok ? 'reaction-done' : 'reaction-failed'
    const [code, text] = outcome.ok ? [null, null] : [outcome.code, outcome.text.slice(0, 1000)]
    this.#append(router, { change, reaction, stance, tookMs, code, text })
  }

  /** What was counted and not told is told. */
  close(): void {
    this.#performed.close()
  }
}

interface Performed extends Tallied {
  readonly router: RouterId
  readonly steps: readonly string[]
  readonly configDigest: string | null
}
