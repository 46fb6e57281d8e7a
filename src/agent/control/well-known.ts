import type { FastifyInstance } from 'fastify'
import type { ControlParts } from './parts.ts'
import { subscriberCount } from './stream.ts'

/** /metrics and /healthz: for scrapers and probes, on the socket and, when asked for, on loopback. */
export function addWellKnown(app: FastifyInstance, { agent, metrics }: ControlParts): void {
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    const text = await metrics.render({
      status: () => agent.status(),
      host: () => agent.host.counters(),
      queued: () => agent.figures.queued,
      hooks: () => agent.figures.hooks,
      stateChange: () => agent.claims.figures,
      subscribers: subscriberCount,
    })
    return reply.header('content-type', metrics.contentType).serializer(String).send(text)
  })
  app.get('/healthz', { schema: { hide: true } }, (_request, reply) => {
    // The agent's own health: a router in fault is no reason to restart the agent.
    const { journal } = agent.status()
    return reply.serializer(JSON.stringify).send({ ok: true, journal: journal.state })
  })
}
