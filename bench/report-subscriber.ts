import { DeliverPolicy, jetstream } from '@nats-io/jetstream'
import { connectAs } from '../test/support/nats-server.ts'
import type { Seen } from './follow.ts'

/** A consumer of the stream of events, as a fleet's would be: it gets what the server has stored, from now on. */
const [server = '', stream = ''] = process.argv.slice(2)
let seen: Seen[] = []
const connection = await connectAs(server)
const consumer = await jetstream(connection).consumers.get(stream, { deliver_policy: DeliverPolicy.New })
process.on('message', () => {
  process.send?.(seen)
  seen = []
})
process.on('disconnect', () => {
  process.exit()
})
for await (const message of await consumer.consume()) {
  const seenMs = Number(process.hrtime.bigint()) / 1e6
  const { kind, ...record } = message.json<{ kind: string } & Told>()
  if (kind !== 'transition') continue
  const { seq, router, late, at, body } = record
  seen.push({ seq, router, late, atMs: at.monoMs, to: body.to, seenMs })
}

interface Told {
  readonly seq: number
  readonly router: string
  readonly late: boolean
  readonly at: { readonly monoMs: number }
  readonly body: { readonly to: string }
}
