import { setTimeout as wait } from 'node:timers/promises'
import type { Journal } from '../journal/journal.ts'
import type { Outbox } from './outbox.ts'

export interface RereadParts {
  readonly journal: Pick<Journal, 'newest' | 'read'>
  readonly outbox: Outbox
  /** More than this may not wait in memory. */
  readonly maxWaiting: number
  readonly signal: AbortSignal
  /** Resolves once the outbox may have room, or something to be read again. */
  readonly changed: () => Promise<unknown>
  readonly onRead: () => void
  readonly onError: (error: unknown) => void
}

/** What is read at once. It is scattered over the file, and the journal's next commit waits for it: 10 ms where each is to be fetched from an SSD. */
const rereadSize = 100
const againMs = 500

/** Read again from the journal what the outbox left there, of one router at a time, until the signal. Never rejects. */
export async function reread({ journal, outbox, signal, ...parts }: RereadParts): Promise<void> {
  const isEnding = () => signal.aborted
  while (!isEnding()) {
    const { remainder, readSeq } = outbox
    const limit = Math.min(rereadSize, parts.maxWaiting - outbox.waiting)
    if (remainder === undefined || limit < 1) {
      await parts.changed()
      continue
    }
    const { router, fromSeq, firstMs } = remainder
    const nowMs = performance.now()
    try {
      const records = await journal.read({ after: fromSeq - 1, until: readSeq, router, limit })
      const last = records.length === limit ? records.at(-1) : undefined
      const rest =
        last === undefined ? { throughSeq: readSeq, restMs: nowMs } : { throughSeq: last.seq, restMs: firstMs }
      outbox.reread(router, { records, ...rest, head: journal.newest.get(router) }, performance.now())
      parts.onRead()
    } catch (error) {
      if (isEnding()) return
      parts.onError(error)
      // What cannot be read of one router must not keep the next from going on.
      outbox.putOff(router)
      await wait(againMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
