import pLimit, { type LimitFunction } from 'p-limit'
import type { RouterId } from '../router/spec.ts'

/** What is done to one router is done one at a time. */
export class Lanes {
  readonly #lanes = new Map<RouterId, LimitFunction>()

  of(router: RouterId): LimitFunction {
    const known = this.#lanes.get(router)
    if (known !== undefined) return known
    const made = pLimit(1)
    this.#lanes.set(router, made)
    return made
  }

  forget(router: RouterId): void {
    this.#lanes.delete(router)
  }
}
