import { setTimeout as wait } from 'node:timers/promises'
import { describeError } from '../base/error.ts'
import { Reporter, type ReporterParts, type ReporterStatus } from './reporter.ts'
import type { SinkSettings, SinkTools } from './settings.ts'
import type { Sink } from './sink.ts'

export interface ReportingParts extends Omit<ReporterParts, 'sink' | 'name' | 'delivery' | 'repeatMs'> {
  readonly settings: readonly SinkSettings[]
  readonly tools: SinkTools
  readonly open: (settings: SinkSettings, tools: SinkTools) => Promise<Sink>
}

/** A sink as it stands now. */
export interface SinkStatus {
  readonly name: string
  readonly type: SinkSettings['type']
  /** A string: why it has not begun. */
  readonly status: ReporterStatus | string
}

const againMs = 5000

/** All sinks of an agent. One that cannot begin is tried again, and holds up no other, nor the agent. */
export class Reporting implements AsyncDisposable {
  readonly #parts: ReportingParts
  readonly #ending = new AbortController()
  readonly #sinks: readonly Begun[]
  readonly #beginning: Promise<unknown>

  constructor(parts: ReportingParts) {
    this.#parts = parts
    this.#sinks = parts.settings.map((settings) => ({
      settings,
      reporter: undefined,
      why: 'its client is being loaded',
    }))
    this.#beginning = Promise.all(this.#sinks.map((one) => this.#begin(one)))
  }

  get status(): readonly SinkStatus[] {
    return this.#sinks.map(({ settings: { name, type }, reporter, why }) => ({
      ...{ name, type },
      status: reporter?.status ?? why,
    }))
  }

  /** What is under way is given up, and sent again at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#beginning
    await Promise.all(this.#sinks.map(async ({ reporter }) => reporter?.[Symbol.asyncDispose]()))
  }

  async #begin(one: Begun): Promise<void> {
    const { tools, open, ...parts } = this.#parts
    const { signal } = this.#ending
    while (!signal.aborted) {
      let sink: Sink | undefined
      try {
        sink = await open(one.settings, tools)
        one.why = 'the journal has not said yet how far it has come'
        const { name, delivery, repeatMs } = one.settings
        one.reporter = await Reporter.start({ ...parts, sink, name, delivery, repeatMs })
        return
      } catch (error) {
        await sink?.close().catch(() => undefined)
        one.why = describeError(error)
        await wait(againMs, undefined, { signal }).catch(() => undefined)
      }
    }
  }
}

interface Begun {
  readonly settings: SinkSettings
  reporter: Reporter | undefined
  why: string
}
