import type { JournalRecord } from '../journal/record.ts'

/** What a sink is told of one router in one piece. */
export interface Report {
  readonly router: string
  /** The newest record that it stands for. */
  readonly record: JournalRecord
  /** The oldest one; `record.seq` when it stands for itself alone. */
  readonly fromSeq: number
  /** Nothing new: what was told before is told once more. */
  readonly isRepeat: boolean
}

/**
 * What a sink is told that has fallen behind: `latest`: of each router the newest change of role, at once; `history`: every record of every
 * router, in order.
 */
export type Delivery = 'latest' | 'history'
