import type { Report } from './report.ts'

/** Where reports go. Says how; {@link Reporter} says what, when and how often. */
export interface Sink {
  /** How many reports may be under way at once; of one router it is never more than one. */
  readonly width: number
  /**
   * Resolves once the other end has the report for good. Rejects with `report-refused` when it never will have, whatever is done; with
   * anything else when it may have it another time. Gives up when `signal` aborts.
   */
  send(report: Report, signal: AbortSignal): Promise<void>
  /** Called at once, and whenever it changes; each time that the other end was away it is said again. Returns how to stop. */
  onState(listener: (state: SinkState) => void): () => void
  /** The sink's own smoothing; without it a report is held back while its router flaps. */
  readonly smoothing?: Smoothing
  /**
   * For how long the other end may carry out what it was told before it was connected to, in whatever order, milliseconds: everything is told once more
   * then. Undefined: it keeps an order.
   */
  readonly settlesMs?: number
  /** What the other end keeps of routers that this agent does not run any more is to go. */
  keepOnly?(routers: ReadonlySet<string>, signal: AbortSignal): Promise<void>
  /** Tell that the agent lives. */
  beat?(beat: Heartbeat, signal: AbortSignal): Promise<void>
  /** Nothing connects it to the other end between two reports: that it is there again is no new beginning. */
  readonly isConnectionless?: true
  close(): Promise<void>
}

export interface SinkState {
  /** Why it cannot be sent to now; undefined: it can. */
  readonly trouble: SinkTrouble | undefined
  /** It may be sent to all the same: what becomes of that says whether the trouble is over. */
  readonly isTried?: true
  /** What is weak about the other end or the way there; undefined: nothing that is known. */
  readonly insecure: string | undefined
}

export interface SinkTrouble {
  /** `not-ready`: the other end is reached, and lacks what somebody must make there. */
  readonly kind: 'unreachable' | 'not-ready'
  readonly text: string
}

/** Of a report that could be sent now: `now`, `known` (the other end has confirmed as much already), or the moment from which on it may. */
export type Smoothing = (report: Report, past: Past) => 'now' | 'known' | { readonly untilMs: number }

/** What a sink may weigh; moments are of the monotonic clock, in milliseconds. */
export interface Past {
  readonly nowMs: number
  /** When the first change happened that the other end has not confirmed. */
  readonly firstMs: number
  /** Until when the router is held back as it flaps; undefined: it does not. */
  readonly flapsUntilMs: number | undefined
  /** Of the router; undefined: nobody knows it. */
  readonly advertisementIntervalMs?: number | undefined
  /** The newest report of this router that the other end has confirmed in this life of the agent. */
  readonly confirmed: Report | undefined
}

/** That the agent lives, and how it is. */
export interface Heartbeat {
  readonly agent: string
  readonly version: string
  readonly epoch: { readonly journal: string; readonly start: number }
  readonly boot: string
  /** The newest record that is durable. */
  readonly seq: number
  readonly configDigest: string
  readonly health: 'healthy' | 'degraded' | 'critical' | 'unknown'
  /** Of the agent itself. */
  readonly conditions: readonly string[]
  /** How many of its routers have each role. */
  readonly roles: Readonly<Record<'primary' | 'backup' | 'fault' | 'unknown', number>>
  /** Unix time, milliseconds. */
  readonly atMs: number
}
