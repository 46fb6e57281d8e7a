import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import * as api from '../api.ts'
import type { ControlParts } from './server.ts'
import { streamEvents } from './stream.ts'

const refusals = { 403: api.problem, 404: api.problem, 422: api.problem, 500: api.problem }
const eventQuery = z.object({
  after: z.coerce.number().int().min(0).optional().describe('The last sequence that you have'),
  router: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  newestFirst: z.stringbool().default(false),
})
const streamQuery = eventQuery.pick({ after: true, router: true })

/** The routes of the control API; the OpenAPI document is made from the same schemas. */
export function addRoutes(plain: FastifyInstance, { agent }: ControlParts): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()

  app.get('/v1/status', { schema: { response: { 200: api.agentStatus, ...refusals } } }, () => agent.status())

  app.get(
    '/v1/routers/:id',
    { schema: { params: z.object({ id: z.string().max(64) }), response: { 200: api.explanation, ...refusals } } },
    (request) => agent.explain(request.params.id),
  )

  app.get('/v1/plan', { schema: { response: { 200: api.planAnswer, ...refusals } } }, () => agent.plan())

  app.post('/v1/apply', { schema: { response: { 200: api.applyAnswer, ...refusals } } }, () => agent.apply())

  app.get(
    '/v1/events',
    { schema: { querystring: eventQuery, response: { 200: z.array(api.journalRecord), ...refusals } } },
    (request) => {
      const { after, router, limit, newestFirst } = request.query
      return agent.journal.read({
        limit,
        newestFirst,
        ...(after === undefined ? {} : { after }),
        ...(router === undefined ? {} : { router }),
      })
    },
  )

  app.get(
    '/v1/events/stream',
    {
      schema: {
        querystring: streamQuery,
        description: 'Server-sent events; resumes at Last-Event-ID',
        produces: ['text/event-stream'],
      },
    },
    async (request, reply) => {
      const { after, router } = request.query
      const resumed = Number(request.headers['last-event-id'])
      const from = Number.isSafeInteger(resumed) && resumed >= 0 ? resumed : after
      await streamEvents(reply, agent.journal, {
        after: from ?? agent.journal.status.durableSeq,
        ...(router === undefined ? {} : { router }),
      })
    },
  )

  app.get('/v1/verify', { schema: { response: { 200: api.verdict, ...refusals } } }, () => agent.journal.verify())

  app.get('/v1/openapi.json', { schema: { hide: true } }, () => plain.swagger())
}
