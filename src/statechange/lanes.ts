import type { Claim, Listener } from './receiver.ts'

/** So long the messages of one lane are gathered into one record. */
export const gatherMs = 500
const maxLanes = 1024

/** What came of one router from one user faster than it may: one record for all of it. */
interface Lane {
  newest: Claim
  count: number
  readonly written: Promise<unknown>
}

/**
 * Slows those who may not be refused: their messages over the limit are gathered for half a second and become one record, with the
 * newest state and how many they were. The kernel is looked at, so nothing of the truth is lost.
 */
export class Lanes {
  readonly #listener: Listener
  readonly #lanes = new Map<string, Lane>()
  #waiting = 0

  constructor(listener: Listener) {
    this.#listener = listener
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Resolves once the record that stands for this message is durable. */
  join(claim: Claim): Promise<unknown> {
    const own = `${String(claim.sender.uid)} ${claim.router}`
    const key = this.#lanes.has(own) || this.#lanes.size < maxLanes ? own : 'rest'
    this.#waiting += 1
    const lane = this.#lanes.get(key)
    if (lane !== undefined) {
      lane.newest = claim
      lane.count += 1
      return lane.written
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    // Whoever waits has an ear of its own for it.
    promise.catch(() => undefined)
    const made: Lane = { newest: claim, count: 1, written: promise }
    this.#lanes.set(key, made)
    setTimeout(() => {
      this.#lanes.delete(key)
      this.#waiting -= made.count
      this.#listener.lookAt(key === 'rest' ? 'all' : claim.router)
      this.#listener.take({ ...made.newest, count: made.count }).then(resolve, reject)
    }, gatherMs)
    return promise
  }
}
