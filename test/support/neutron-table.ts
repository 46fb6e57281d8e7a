import { smoothing } from '../../src/report/neutron/smoothing.ts'
import { translate } from '../../src/report/neutron/translate.ts'
import type { Report } from '../../src/report/report.ts'
import type { Sink, SinkState } from '../../src/report/sink.ts'
import { stateOf } from './far-end.ts'
import { routerOf } from './neutron-sink.ts'

/** For how long a new primary is not told. */
export const windowMs = 400
/** Shows how far a reporter has read; it stands in no table. */
export const mark = routerOf(99)

/** Neutron's `ha_router_agent_port_bindings` of one agent; it outlives each sink. */
export class Neutron {
  readonly table = new Map<string, string>()
  /** What it was told, in order, and when. */
  readonly told: { readonly router: string; readonly state: string; readonly atMs: number }[] = []
  /** How often the router was told that shows how far a reporter has read. */
  marks = 0
  /** As the sink's own; undefined: it is in order at once. */
  settlesMs: number | undefined
  /** What a handler waits for before it writes. */
  before: (report: Report) => Promise<unknown> = () => Promise.resolve()
  #say: (state: SinkState) => void = () => undefined

  sink(): Sink {
    return {
      width: 64,
      ...(this.settlesMs === undefined ? {} : { settlesMs: this.settlesMs }),
      smoothing: smoothing(windowMs),
      send: async (report) => {
        const state = translate(report)
        if (state === undefined) return
        if (report.router === mark) {
          this.marks += 1
          return
        }
        this.told.push({ router: report.router, state, atMs: performance.now() })
        await this.before(report)
        this.table.set(report.router, state)
      },
      onState: (listener) => {
        this.#say = listener
        listener(stateOf(undefined))
        return () => (this.#say = () => undefined)
      },
      close: () => Promise.resolve(),
    }
  }

  away(): void {
    this.#say(stateOf('the broker is gone'))
  }

  back(): void {
    this.#say(stateOf(undefined))
  }

  toldOf(router: string): string[] {
    return this.told.filter((one) => one.router === router).map(({ state }) => state)
  }
}
