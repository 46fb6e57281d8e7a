import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import type { Journal } from '../journal/journal.ts'
import type { Outbox } from './outbox.ts'

export interface IntakeParts {
  readonly journal: Pick<Journal, 'newest' | 'status' | 'subscribe'>
  readonly outbox: Outbox
  readonly signal: AbortSignal
  /** Something was read, of this router where it was one record. Resolves once there is room for more. */
  readonly onRead: (router?: string) => Promise<void> | undefined
  readonly onError: (error: unknown) => void
}

const againMs = 500

/** Read the journal into the outbox from where that is, until the signal or the end of the journal. Never rejects. */
export async function takeIn({ journal, outbox, signal, onRead, onError }: IntakeParts): Promise<void> {
  const isEnding = () => signal.aborted
  const removedThroughSeq = () => journal.status.retainedFromSeq - 1
  while (!isEnding()) {
    if (outbox.readSeq < removedThroughSeq()) {
      outbox.skip(removedThroughSeq(), journal.newest.values(), performance.now())
      await onRead()
    }
    try {
      for await (const record of journal.subscribe({ after: outbox.readSeq, signal })) {
        // Retention was faster than the reading of the first page. Of what the journal itself gave up it has another record.
        if (record.seq > outbox.readSeq + 1 && outbox.readSeq < removedThroughSeq())
          outbox.skip(record.seq - 1, journal.newest.values(), performance.now())
        outbox.read(record, performance.now())
        await onRead(record.router)
      }
      // The journal has closed.
      return
    } catch (error) {
      // Who reads too slowly reads on; what retention took meanwhile is skipped.
      if (!(error instanceof KeepwardError && error.code === 'subscriber-too-slow')) onError(error)
      if (!isEnding()) await wait(againMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
