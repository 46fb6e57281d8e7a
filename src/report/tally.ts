import { describeError, KeepwardError } from '../base/error.ts'
import type { Delivery, Report } from './report.ts'

export interface TallyFigures {
  /** What it does not take, by router. */
  readonly refused: ReadonlyMap<string, string>
  readonly delivered: number
  /** Tries that were in vain. */
  readonly failures: number
  readonly lastError: string | undefined
  /** How long ago that was, milliseconds. */
  readonly lastErrorMs: number | undefined
}

/** What became of the reports of one sink in this life of the agent. */
export class Tally {
  readonly #delivery: Delivery
  readonly #refused = new Map<string, string>()
  /** By router, the newest that the other end has confirmed. */
  readonly #confirmed = new Map<string, Report>()
  #delivered = 0
  #failures = 0
  #lastError: { readonly text: string; readonly atMs: number } | undefined

  constructor(delivery: Delivery) {
    this.#delivery = delivery
  }

  confirmed(router: string): Report | undefined {
    return this.#confirmed.get(router)
  }

  begun({ router }: Report): void {
    // Unless it is confirmed, nobody knows which of the two the other end has.
    this.#confirmed.delete(router)
  }

  ended(report: Report): void {
    // To who wants each record the next one makes up for nothing: it is shown until all is told once more.
    if (report.isRepeat || this.#delivery === 'latest') this.#refused.delete(report.router)
    this.#confirmed.set(report.router, report)
    this.#delivered += 1
  }

  /** Says whether it is refused, which is for ever. */
  failed({ router }: Report, error: unknown): boolean {
    this.note(error)
    this.#failures += 1
    if (!(error instanceof KeepwardError && error.code === 'report-refused')) return false
    this.#refused.set(router, describeError(error))
    return true
  }

  /** Of whatever went wrong. */
  note(error: unknown): void {
    this.#lastError = { text: describeError(error), atMs: performance.now() }
  }

  /** All is told once more of these routers: what the other end may have lost is not known to it, where something waits either. */
  anew(routers: ReadonlySet<string>): void {
    for (const router of this.#refused.keys()) if (!routers.has(router)) this.#refused.delete(router)
    this.#confirmed.clear()
  }

  figures(nowMs: number): TallyFigures {
    const last = this.#lastError
    return {
      ...{ refused: this.#refused, delivered: this.#delivered, failures: this.#failures },
      ...{ lastError: last?.text, lastErrorMs: last === undefined ? undefined : nowMs - last.atMs },
    }
  }
}
