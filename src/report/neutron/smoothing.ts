import type { Smoothing } from '../sink.ts'
import { stateOf } from './translate.ts'

/** Neutron's own, where nobody knows the router's. */
const usualIntervalMs = 2000

/**
 * A new primary is told once one advertisement interval of its router, or `primaryDelayMs`, is over since the first change that Neutron has not confirmed, with what counts then:
 * at a failover all backups of a router may be primary for a moment, and Neutron would keep them all. That it is primary no more is told at once.
 */
export const smoothing =
  (primaryDelayMs: number | undefined): Smoothing =>
  (report, { nowMs, firstMs, confirmed, advertisementIntervalMs }) => {
    const state = stateOf(report)
    if (report.isRepeat || state === undefined) return 'now'
    if (confirmed !== undefined && stateOf(confirmed) === state) return 'known'
    const untilMs = firstMs + (primaryDelayMs ?? advertisementIntervalMs ?? usualIntervalMs)
    return state === 'active' && untilMs > nowMs ? { untilMs } : 'now'
  }
