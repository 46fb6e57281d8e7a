import { excerpt, parseReply } from './message.ts'
import type { NeutronState } from './translate.ts'

/** What a server says to a call, other than that it is done. */
export class Failed extends Error {
  /** Name of the exception. */
  readonly exception: string

  constructor(exception: string, text: string) {
    super(`Neutron's server fails: ${excerpt(text)}`)
    this.exception = exception
  }
}

interface Waiting {
  readonly resolve: (done: undefined) => void
  readonly reject: (why: Error) => void
}

/** A call that nobody waits for any more, which a server may carry out yet. */
export interface Given {
  readonly router: string
  readonly state: NeutronState
}

const maxGiven = 1000

/** The calls that wait for an answer, by id, and of those that were given up what may come of them. */
export class Calls {
  readonly #waiting = new Map<string, Waiting>()
  readonly #given = new Map<string, Given>()
  readonly #overtaken: (given: Given, id: string) => void

  /** `overtaken`: a server has carried out a call that was given up, and may have done so after a later one. */
  constructor(overtaken: (given: Given, id: string) => void) {
    this.#overtaken = overtaken
  }

  /** Resolves when it is done. Throws {@link Failed}, or that there is no answer when `signal` aborts. */
  async answer(id: string, about: Given, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    const giveUp = () => {
      this.#give(id, about)
      reject(new Error("Neutron's server has not answered in time"))
    }
    this.#waiting.set(id, { resolve, reject })
    signal.addEventListener('abort', giveUp)
    if (signal.aborted) giveUp()
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
      this.#waiting.delete(id)
    }
  }

  heard(content: Buffer): void {
    const reply = parseReply(content)
    if (reply === undefined || reply.kind === 'progress') return
    const waiting = this.#waiting.get(reply.callId)
    if (waiting === undefined) this.#late(reply.callId)
    else if (reply.kind === 'done') waiting.resolve(undefined)
    else waiting.reject(new Failed(reply.exception, reply.text))
  }

  #late(id: string): void {
    const given = this.#given.get(id)
    if (given === undefined) return
    this.#given.delete(id)
    this.#overtaken(given, id)
  }

  #give(id: string, about: Given): void {
    this.#given.set(id, about)
    const [oldest] = this.#given.keys()
    if (this.#given.size > maxGiven && oldest !== undefined) this.#given.delete(oldest)
  }
}
