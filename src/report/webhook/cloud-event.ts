import type { JsonObject } from '../../journal/record.ts'
import { eventId, eventOf } from '../event.ts'
import type { Report } from '../report.ts'

export const cloudEventType = 'application/cloudevents+json; charset=utf-8'

/**
 * A report as CloudEvents 1.0 in structured JSON (https://github.com/cloudevents/spec, `spec.md`, `formats/json-format.md`). `sequence` is
 * the extension of that name, as long as the greatest number so that texts compare as numbers do; it counts within one `journal`.
 */
export function cloudEvent(report: Report): JsonObject {
  const { agent, epoch, kind, seq, at } = report.record
  return {
    specversion: '1.0',
    id: eventId(report.record),
    source: `/keepward/agents/${encodeURIComponent(agent)}`,
    type: `io.keepward.router.${kind}.v1`,
    subject: report.router,
    ...timeOf(at.wallMs),
    datacontenttype: 'application/json',
    journal: epoch.journal,
    sequence: String(seq).padStart(16, '0'),
    data: eventOf(report),
  }
}

/** Left out when no date says it: a wrong clock keeps no report back. */
function timeOf(wallMs: number): { readonly time?: string } {
  const time = new Date(wallMs)
  return Number.isNaN(time.getTime()) ? {} : { time: time.toISOString() }
}
