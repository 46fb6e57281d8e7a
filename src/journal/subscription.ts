import { KeepwardError } from '../base/error.ts'
import type { JournalRecord } from './record.ts'

export interface SubscribeQuery {
  /** The last seq that the subscriber has; 0 begins with the oldest record that is kept. */
  readonly after: number
  readonly router?: string
  /** How many live records may wait for the reader; 1000 unless said. */
  readonly bufferSize?: number
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal
}

/** What a subscription needs of its journal. */
export interface Feed {
  readonly durableSeq: number
  /** The newest record that retention has removed, 0 when none. */
  readonly removedThroughSeq: number
  /** Ascending, `after` exclusive, `until` inclusive. */
  read(query: { after: number; until: number; router: string | undefined; limit: number }): Promise<JournalRecord[]>
  /** `undefined` says that the journal has closed. Returns how to stop. */
  listen(listener: (record: JournalRecord | undefined) => void): () => void
}

const pageSize = 500

/**
 * Every durable record after `after`, once, in order: backfill from the file at the reader's pace; cutover in the turn in
 * which the file has nothing more; then live. Throws `request-invalid` when the journal has no record `after` yet,
 * `records-removed` when retention took records that the subscriber has not seen, `subscriber-too-slow` when
 * the live buffer overflows; the last two name the seq to resume after. Ends when the journal closes.
 */
export async function* subscribe(feed: Feed, query: SubscribeQuery): AsyncGenerator<JournalRecord, void, undefined> {
  const { after, router, bufferSize = 1000, signal } = query
  checkStart(feed, after)
  const isAborted = () => signal?.aborted === true
  let cursor = after
  while (!isAborted()) {
    checkRetained(feed, cursor, after)
    const until = feed.durableSeq
    const page = cursor < until ? await feed.read({ after: cursor, until, router, limit: pageSize }) : []
    checkRetained(feed, cursor, after)
    for (const record of page) {
      yield record
      cursor = record.seq
      if (isAborted()) return
    }
    if (page.length === pageSize) continue
    cursor = until
    // No await stands between this comparison and the attachment, so no record slips through.
    if (until < feed.durableSeq) continue
    yield* live(feed, { router, bufferSize, signal, after: cursor })
    return
  }
}

interface LiveOptions {
  readonly after: number
  readonly router: string | undefined
  readonly bufferSize: number
  readonly signal: AbortSignal | undefined
}

type LiveState = 'open' | 'ended' | 'overrun'

async function* live(feed: Feed, options: LiveOptions): AsyncGenerator<JournalRecord, void, undefined> {
  const { router, bufferSize, signal } = options
  const buffer: JournalRecord[] = []
  let state: LiveState = 'open'
  let wake = Promise.withResolvers<null>()
  const change = (next: LiveState) => {
    if (state === 'open') state = next
    wake.resolve(null)
  }
  const stop = feed.listen((record) => {
    if (record === undefined) change('ended')
    else if (router !== undefined && record.router !== router) return
    else if (buffer.length >= bufferSize) change('overrun')
    else if (buffer.push(record) === 1) wake.resolve(null)
  })
  const abort = () => {
    buffer.length = 0
    change('ended')
  }
  signal?.addEventListener('abort', abort)
  const now = (): LiveState => state
  try {
    for (let cursor = options.after; ;) {
      if (now() === 'overrun') throw tooSlow(cursor, bufferSize)
      const record = buffer.shift()
      if (record !== undefined) {
        yield record
        cursor = record.seq
      } else if (now() === 'ended') return
      else {
        wake = Promise.withResolvers()
        await wake.promise
      }
    }
  } finally {
    stop()
    signal?.removeEventListener('abort', abort)
  }
}

function checkStart(feed: Feed, after: number): void {
  if (Number.isSafeInteger(after) && after >= 0 && after <= feed.durableSeq) return
  const message = `Cannot subscribe after record ${after}: the newest record of this journal is ${feed.durableSeq}`
  throw new KeepwardError('request-invalid', message, {
    hint: 'a subscriber must compare the journal id as well: a new file counts from 1',
  })
}

/** Who has seen nothing begins with what is there; who has seen something must not lose the next without a word. */
function checkRetained(feed: Feed, cursor: number, after: number): void {
  const removed = feed.removedThroughSeq
  if (removed <= cursor || (cursor === 0 && after === 0)) return
  const message = `Records ${cursor + 1} to ${removed} have been removed by retention before they were read`
  throw new KeepwardError('records-removed', message, {
    hint: `resume after ${removed}, and take the present state as new`,
  })
}

const tooSlow = (seq: number, bufferSize: number): KeepwardError =>
  new KeepwardError(
    'subscriber-too-slow',
    `The subscriber left more than ${bufferSize} records unread after record ${seq}`,
    {
      hint: `subscribe again after ${seq}`,
    },
  )
