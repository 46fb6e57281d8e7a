import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { describeError, KeepwardError } from '../../base/error.ts'
import type { Journal } from '../../journal/journal.ts'

const heartbeatMs = 15_000
/** So much may wait for a reader, enough for a storm of all routers; then the journal is read on at its pace. */
const maxWaitingBytes = 1024 * 1024
/** A reader that then takes nothing for so long is ended; it resumes where it was. */
const patienceMs = 5000
/** What a reader that was ended may take to read why. */
const farewellMs = 1000

let subscribers = 0
export const subscriberCount = (): number => subscribers

/**
 * Send the journal as server-sent events (WHATWG HTML, 9.2): `id` is the sequence to resume after, `event` the kind,
 * `data` the record. The journal is read at the reader's pace; one that falls too far behind is ended. An error ends the
 * stream as an event `error` that says so.
 */
export async function streamEvents(
  reply: FastifyReply,
  journal: Journal,
  query: { readonly after: number; readonly router?: string },
): Promise<void> {
  const { raw } = reply
  reply.hijack()
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  raw.write(': keepward\n\n')
  const ended = new AbortController()
  raw.on('close', () => {
    ended.abort()
  })
  const heartbeat = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(': still here\n\n')
  }, heartbeatMs)
  subscribers += 1
  try {
    for await (const record of journal.subscribe({ ...query, signal: ended.signal })) {
      const text = `id: ${String(record.seq)}\nevent: ${record.kind}\ndata: ${JSON.stringify(record)}\n\n`
      raw.write(text)
      if (raw.writableLength > maxWaitingBytes && !(await drained(raw, ended.signal))) throw tooSlow(record.seq)
    }
  } catch (error) {
    raw.write(`event: error\ndata: ${JSON.stringify({ message: describeError(error) })}\n\n`)
  } finally {
    subscribers -= 1
    clearInterval(heartbeat)
    raw.end()
    if (!raw.closed) setTimeout(() => raw.destroy(), farewellMs).unref()
  }
}

/** Whether the reader has taken what waits, or gone, within its time. */
async function drained(raw: ServerResponse, ended: AbortSignal): Promise<boolean> {
  if (ended.aborted) return true
  const overdue = AbortSignal.timeout(patienceMs)
  try {
    await once(raw, 'drain', { signal: AbortSignal.any([ended, overdue]) })
    return true
  } catch {
    return ended.aborted
  }
}

const tooSlow = (seq: number): KeepwardError =>
  new KeepwardError('subscriber-too-slow', `The reader has taken nothing for ${patienceMs / 1000} s`, {
    hint: `resume after ${seq}`,
  })
