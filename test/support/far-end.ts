import type { Report } from '../../src/report/report.ts'
import type { Heartbeat, Sink, SinkState } from '../../src/report/sink.ts'

export const stateOf = (text: string | undefined): SinkState => ({
  trouble: text === undefined ? undefined : { kind: 'unreachable', text },
  insecure: undefined,
})

export const heartbeat: Heartbeat = {
  agent: 'host1',
  version: '0.1.0',
  epoch: { journal: '0'.repeat(32), start: 1 },
  boot: 'boot1',
  seq: 0,
  configDigest: '',
  health: 'healthy',
  conditions: [],
  roles: { primary: 0, backup: 0, fault: 0, unknown: 0 },
  atMs: 0,
}

/** The other end of a sink, in memory: what it has outlives each sink. */
export class FarEnd {
  readonly heard: Report[] = []
  readonly beats: Heartbeat[] = []
  /** The routers that it was last told to keep alone. */
  kept: ReadonlySet<string> | undefined
  #tell: (state: SinkState) => void = () => undefined
  answer: (report: Report) => Promise<void> = () => Promise.resolve()

  sink(width = 8): Sink {
    return {
      width,
      send: async (report) => {
        await this.answer(report)
        this.heard.push(report)
      },
      onState: (listener) => {
        this.#tell = listener
        listener(stateOf(undefined))
        return () => (this.#tell = () => undefined)
      },
      beat: (beat) => Promise.resolve(void this.beats.push(beat)),
      keepOnly: (routers) => Promise.resolve(void (this.kept = routers)),
      close: () => Promise.resolve(),
    }
  }

  away(trouble: string | undefined): void {
    this.#tell(stateOf(trouble))
  }

  /** By router, the sequences of what is news. */
  get news(): Record<string, number[]> {
    const by: Record<string, number[]> = {}
    for (const { router, record } of this.heard)
      if (record.seq > (by[router]?.at(-1) ?? 0)) by[router] = [...(by[router] ?? []), record.seq]
    return by
  }
}

export const farEnd = (): FarEnd => new FarEnd()
