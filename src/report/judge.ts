import { ageText } from '../base/age.ts'
import { countText } from '../base/count.ts'
import { gapShownMs } from './outbox.ts'
import type { ReporterStatus } from './reporter.ts'
import type { SinkStatus } from './reporting.ts'

export type SinkCondition = 'sink-behind' | 'sink-not-ready' | 'sink-refused' | 'sink-gap' | 'sink-insecure'

/** A connection that is made anew is no news. */
const awayMs = 10_000
/** Longer than a flapping router is held back. */
const oldMs = 60_000

/** What is wrong with the sinks now, each with its name. */
export function judgeSinks(sinks: readonly SinkStatus[]): (readonly [SinkCondition, string])[] {
  const found = new Map<SinkCondition, string[]>()
  for (const { name, status } of sinks)
    for (const [code, text] of typeof status === 'string' ? ([['sink-behind', status]] as const) : judgeSink(status))
      found.set(code, [...(found.get(code) ?? []), `${name}: ${text}`])
  return [...found].map(([code, texts]) => [code, texts.join('; ')])
}

function judgeSink(status: ReporterStatus): (readonly [SinkCondition, string])[] {
  const { state, refused, waiting, oldestMs, gap } = status
  const found: (readonly [SinkCondition, string])[] = []
  if (state.trouble?.kind === 'not-ready') found.push(['sink-not-ready', `${state.trouble.text}${waitingText(status)}`])
  else if (state.trouble !== undefined && status.awayMs > awayMs)
    found.push(['sink-behind', `${state.trouble.text}${waitingText(status)}`])
  else if (oldestMs !== undefined && oldestMs > oldMs)
    found.push(['sink-behind', `${whyOld(status)}${waitingText(status)}`])
  const [first] = refused
  if (first !== undefined)
    found.push([
      'sink-refused',
      `router ${first[0]}: ${first[1]}${refused.size === 1 ? '' : `, and ${countText(refused.size - 1, 'more router')}`}`,
    ])
  if (gap !== undefined && gap.ageMs < gapShownMs) {
    const { fromSeq, throughSeq, ageMs } = gap
    const which = `of ${String(fromSeq)} to ${String(throughSeq)}`
    found.push(['sink-gap', `the journal removed records ${which} before they were told, seen ${ageText(ageMs)} ago`])
  }
  if (state.insecure !== undefined) found.push(['sink-insecure', state.insecure])
  return found.filter(([code]) => code !== 'sink-behind' || waiting > 0 || state.trouble !== undefined)
}

/** An error from before the oldest report was there does not say why that waits. */
function whyOld({ lastError, lastErrorMs = Infinity, oldestMs = 0 }: ReporterStatus): string {
  return lastError === undefined || lastErrorMs > oldestMs ? 'it is slow' : lastError
}

function waitingText({ waiting, oldestMs }: ReporterStatus): string {
  if (waiting === 0 || oldestMs === undefined) return ''
  return `; ${countText(waiting, 'report')} ${waiting === 1 ? 'waits' : 'wait'}, the oldest for ${String(Math.round(oldestMs / 1000))} s`
}
