import type { Report } from './report.ts'

/** Where reports go. Says how; {@link Reporter} says what, when and how often. */
export interface Sink {
  /** How many reports may be under way at once. */
  readonly width: number
  /**
   * Resolves once the other end has the report for good. Rejects with `report-refused` when it never will have, whatever is done; with
   * anything else when it may have it another time.
   */
  send(report: Report, signal: AbortSignal): Promise<void>
  /** Called with undefined whenever it can be sent to, with the reason whenever it cannot; at once, and returns how to stop. */
  onState(listener: (trouble: string | undefined) => void): () => void
  close(): Promise<void>
}
