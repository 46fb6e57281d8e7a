import type { Smoothing } from '../sink.ts'
import { stateOf } from './translate.ts'

/**
 * A new primary is told once `primaryDelayMs` are over since the first change that Neutron has not confirmed, with what counts then:
 * at a failover all backups of a router may be primary for a moment, and Neutron would keep them all. That it is primary no more is told at once.
 */
export const smoothing =
  (primaryDelayMs: number): Smoothing =>
  (report, { nowMs, firstMs, confirmed }) => {
    const state = stateOf(report)
    if (report.isRepeat || state === undefined) return 'now'
    if (confirmed !== undefined && stateOf(confirmed) === state) return 'known'
    const untilMs = firstMs + primaryDelayMs
    return state === 'active' && untilMs > nowMs ? { untilMs } : 'now'
  }
