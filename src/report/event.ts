import type { JournalRecord, JsonObject } from '../journal/record.ts'
import type { Report } from './report.ts'

/** The same each time that the same record is told: who has it drops it. */
export const eventId = ({ agent, epoch, seq }: Pick<JournalRecord, 'agent' | 'epoch' | 'seq'>): string =>
  `${agent}:${epoch.journal}.${String(epoch.start)}:${String(seq)}`

/**
 * A report as a receiver gets it, whatever the way: the record of the journal, and the oldest sequence that it stands for. Who knows a
 * later `seq` of the same agent, journal and router drops it.
 */
export function eventOf({ record, fromSeq }: Report): JsonObject {
  const { router, routerSeq, ...rest } = record
  return {
    version: 1,
    ...{ ...rest, epoch: { ...rest.epoch }, at: { ...rest.at } },
    ...(router === undefined ? {} : { router }),
    ...(routerSeq === undefined ? {} : { routerSeq }),
    fromSeq,
  }
}
