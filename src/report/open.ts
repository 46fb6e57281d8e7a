import type { SinkSettings, SinkTools } from './settings.ts'
import type { Sink } from './sink.ts'

/** A client takes megabytes, which an agent without such a sink has no use for: it is loaded when it is wanted. */
export async function openSink(settings: SinkSettings, tools: SinkTools): Promise<Sink> {
  if (settings.type === 'nats') return (await import('./nats/sink.ts')).openNatsSink(settings, tools)
  if (settings.type === 'webhook') return (await import('./webhook/sink.ts')).openWebhookSink(settings, tools)
  return (await import('./neutron/sink.ts')).openNeutronSink(settings, tools)
}
