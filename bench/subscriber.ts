import { stream } from '../src/cli/client.ts'
import type { Seen } from './follow.ts'

/**
 * A subscriber in a process of its own, as a fleet's would be: reads server-sent events, stamps each transition when its
 * record has been read, and hands over what it saw when asked.
 */
const [socket = '', after = '0'] = process.argv.slice(2)
let seen: Seen[] = []
process.on('message', () => {
  process.send?.(seen)
  seen = []
})
process.on('disconnect', () => {
  process.exit()
})
for await (const { kind, data } of stream({ config: '', socket, json: false }, `/v1/events/stream?after=${after}`)) {
  const seenMs = Number(process.hrtime.bigint()) / 1e6
  if (kind === 'error') throw new Error(JSON.stringify(data))
  if (kind !== 'transition') continue
  const record = data as { seq: number; router: string; late: boolean; at: { monoMs: number }; body: { to: string } }
  const { seq, router, late, at, body } = record
  seen.push({ seq, router, late, atMs: at.monoMs, to: body.to, seenMs })
}
