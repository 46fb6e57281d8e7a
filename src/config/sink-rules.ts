import { tellRepeated, type Review } from './review.ts'
import { valueAt } from './schema-findings.ts'
import { sinksSchema, type SinkEntry } from './sink-schema.ts'

/** What must fit together within a sink, and between them. */
export function checkSinks(config: unknown, review: Review): void {
  const sinks = sinksSchema.safeParse(valueAt(config, ['sinks'])).data ?? []
  tellRepeated(
    review,
    sinks.map(({ name }, index) => ({ key: name, path: ['sinks', index, 'name'] })),
    (name, first) => `is "${name}", must differ from ${first}`,
  )
  for (const [index, sink] of sinks.entries()) {
    for (const [at, address] of addressesOf(sink).entries()) {
      if (!/^(nats|amqp):/.test(address) || (sink.type !== 'webhook' && sink.plaintext)) continue
      const list = sink.type === 'nats' ? 'servers' : 'brokers'
      review.tell(
        ['sinks', index, sink.type, list, at],
        `is ${address}, must be ${sink.type === 'nats' ? 'tls' : 'amqps'}:// unless plaintext is true`,
      )
    }
    if (sink.type === 'neutron' && sink.delivery === 'history')
      review.tell(['sinks', index, 'delivery'], 'is history, must be latest: Neutron keeps what it is told last')
  }
}

const addressesOf = (sink: SinkEntry): readonly string[] =>
  sink.type === 'nats' ? sink.servers : sink.type === 'neutron' ? sink.brokers : []
