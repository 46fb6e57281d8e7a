import { Kvm } from '@nats-io/kv'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core/internal'
import { Secret } from '../../src/base/secret.ts'
import type { Journal } from '../../src/journal/journal.ts'
import { agentBucket, eventStream, stateBucket } from '../../src/report/nats/layout.ts'
import { openNatsSink } from '../../src/report/nats/sink.ts'
import { Reporter, type ReporterParts } from '../../src/report/reporter.ts'
import type { NatsSettings, SinkTools } from '../../src/report/settings.ts'
import type { Sink, SinkState } from '../../src/report/sink.ts'
import { heartbeat } from './far-end.ts'

export const natsSettings = (servers: readonly string[], change: Partial<NatsSettings> = {}): NatsSettings => ({
  ...{ type: 'nats', name: 'fleet', delivery: 'history', repeatMs: 3_600_000, servers, plaintext: true },
  ...{ caFile: undefined, clientCertificate: undefined, nkey: undefined },
  ...change,
})

export const natsTools = (change: Partial<SinkTools> = {}): SinkTools => ({
  ...{ agent: 'host1', version: '0.1.0' },
  readSecret: () => Promise.resolve(new Secret('')),
  readFile: () => {
    throw new Error('no file')
  },
  ...change,
})

/** A sink, with the last that it said. */
export interface Watched extends AsyncDisposable {
  readonly sink: Sink
  readonly state: SinkState
}

export function watchedSink(settings: NatsSettings, tools: SinkTools = natsTools()): Watched {
  const sink = openNatsSink(settings, tools)
  let state: SinkState | undefined
  sink.onState((now) => (state = now))
  return {
    sink,
    get state() {
      if (state === undefined) throw new Error('It has not said how it is')
      return state
    },
    [Symbol.asyncDispose]: () => sink.close(),
  }
}

/** What an agent has: a reporter over a real journal. */
export const reporterOf = (
  journal: Journal,
  settings: NatsSettings,
  change: Partial<ReporterParts> & { tools?: SinkTools } = {},
): Promise<Reporter> =>
  Reporter.start({
    ...{ journal, sink: openNatsSink(settings, change.tools ?? natsTools()) },
    ...{ name: settings.name, delivery: settings.delivery, repeatMs: settings.repeatMs },
    ...{ heldUntilMs: () => undefined, beat: () => heartbeat, routers: () => new Set(journal.heads.keys()) },
    ...change,
  })

export interface StoredEvent {
  readonly subject: string
  readonly id: string
  readonly event: Readonly<Record<string, unknown>> & { readonly seq: number; readonly fromSeq: number }
}

/** Everything in the stream of events, in its order. */
export async function storedEvents(connection: NatsConnection): Promise<StoredEvent[]> {
  const manager = await jetstreamManager(connection)
  const { state } = await manager.streams.info(eventStream)
  const found: StoredEvent[] = []
  if (state.messages === 0) return found
  const consumer = await jetstream(connection).consumers.get(eventStream)
  for await (const message of await consumer.consume({ max_messages: 1000 })) {
    const event = message.json<StoredEvent['event']>()
    found.push({ subject: message.subject, id: message.headers?.get('Nats-Msg-Id') ?? '', event })
    if (message.info.pending === 0) break
  }
  return found
}

/** As a consumer that knows nothing of this project sees a bucket; undefined: no such key, or removed. */
export async function valueIn(
  connection: NatsConnection,
  bucket: typeof stateBucket | typeof agentBucket,
  key: string,
): Promise<Record<string, unknown> | undefined> {
  const found = await (await new Kvm(connection).open(bucket)).get(key)
  return found === null || found.operation !== 'PUT' ? undefined : found.json<Record<string, unknown>>()
}

/** By router, the hash of the record that is its last state. */
export async function stateOfRouters(connection: NatsConnection): Promise<Map<string, string>> {
  const bucket = await new Kvm(connection).open(stateBucket)
  const states = new Map<string, string>()
  for await (const key of await bucket.keys()) {
    const entry = await bucket.get(key)
    if (entry?.operation !== 'PUT') continue
    const { router, hash } = entry.json<{ router: string; hash: string }>()
    states.set(router, hash)
  }
  return states
}
