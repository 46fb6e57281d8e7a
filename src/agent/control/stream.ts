import type { FastifyReply } from 'fastify'
import { describeError } from '../../base/error.ts'
import type { Journal } from '../../journal/journal.ts'

/** A reader that lets so many bytes wait is ended; it resumes where it was. */
const maxWaitingBytes = 1024 * 1024
const heartbeatMs = 15_000

let subscribers = 0
export const subscriberCount = (): number => subscribers

/**
 * Send the journal as server-sent events (WHATWG HTML, 9.2): `id` is the sequence to resume after, `event` the kind,
 * `data` the record. An error ends the stream as an event `error` that says so.
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
  const heartbeat = setInterval(() => raw.write(': still here\n\n'), heartbeatMs)
  subscribers += 1
  try {
    for await (const record of journal.subscribe({ ...query, signal: ended.signal })) {
      raw.write(`id: ${String(record.seq)}\nevent: ${record.kind}\ndata: ${JSON.stringify(record)}\n\n`)
      if (raw.writableLength > maxWaitingBytes)
        throw new Error(`the reader is too slow; resume after ${String(record.seq)}`)
    }
  } catch (error) {
    raw.write(`event: error\ndata: ${JSON.stringify({ message: describeError(error) })}\n\n`)
  } finally {
    subscribers -= 1
    clearInterval(heartbeat)
    raw.end()
  }
}
