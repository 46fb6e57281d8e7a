import type { SinkState, SinkTrouble } from '../sink.ts'
import { maxPauseMs, type Failure } from './answer.ts'

const firstPauseMs = 1000
const enough = 3

/**
 * Whether an endpoint takes reports, by what becomes of them. In trouble it is left alone for longer and longer; then it is tried with one
 * report, and what becomes of that one decides.
 */
export class Health {
  readonly #width: number
  readonly #firstPauseMs: number
  readonly #listeners = new Set<(state: SinkState) => void>()
  /** Routers whose reports failed since one was taken; two are enough to know. */
  readonly #failing = new Set<string>()
  #failures = 0
  #pauseMs = 0
  #trouble: SinkTrouble | undefined
  #isTried = false
  #timer: NodeJS.Timeout | undefined

  constructor(width: number, pauseMs = firstPauseMs) {
    this.#width = width
    this.#firstPauseMs = pauseMs
  }

  /** How many reports it may have at once. */
  get width(): number {
    return this.#pauseMs > 0 ? 1 : this.#width
  }

  onState(listener: (state: SinkState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }

  /** It has judged a report, whichever way. */
  answered(): void {
    this.#failing.clear()
    this.#failures = 0
    this.#pauseMs = 0
    if (this.#isTried) this.#tell(undefined)
  }

  /** `text`: the failure for a person. */
  failed(router: string, failure: Failure, text: string): void {
    this.#failures += 1
    if (this.#failing.size < 2) this.#failing.add(router)
    if (this.#isLeftAlone() || !this.#isTrouble(failure)) return
    this.#pauseMs = Math.min(maxPauseMs, Math.max(this.#firstPauseMs, this.#pauseMs * 2))
    const pauseMs = failure.pauseMs ?? this.#pauseMs * (0.75 + Math.random() / 4)
    this.#timer = setTimeout(() => {
      // What was under way meanwhile may have been taken.
      if (this.#pauseMs === 0) this.#tell(undefined)
      else this.#tell(this.#trouble, true)
    }, pauseMs).unref()
    this.#tell({ kind: failure.kind, text })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#listeners.clear()
  }

  /** One router alone, whose report may be what the endpoint cannot bear, stops no other: it is tried again by itself, ever more slowly. */
  #isTrouble({ suspect, pauseMs }: Failure): boolean {
    if (suspect === 'settings' || pauseMs !== undefined) return true
    return this.#failures >= enough && (suspect === 'endpoint' || this.#failing.size > 1)
  }

  #isLeftAlone(): boolean {
    return this.#trouble !== undefined && !this.#isTried
  }

  #tell(trouble: SinkTrouble | undefined, isTried = false): void {
    this.#trouble = trouble
    this.#isTried = isTried
    for (const listener of this.#listeners) listener(this.#state)
  }

  get #state(): SinkState {
    return { trouble: this.#trouble, ...(this.#isTried ? { isTried: true } : {}), insecure: undefined }
  }
}
