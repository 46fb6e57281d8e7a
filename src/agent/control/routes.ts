import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Socket } from 'node:net'
import { z } from 'zod'
import { KeepwardError } from '../../base/error.ts'
import { Tallies, type Tallied } from '../../base/tally.ts'
import type { Peer } from '../../linux/unix-socket.ts'
import * as api from '../api.ts'
import type { Applicant } from '../applicant.ts'
import type { ControlParts } from './parts.ts'
import { streamEvents } from './stream.ts'

const refusals = { 400: api.problem, 403: api.problem, 404: api.problem, 422: api.problem, 500: api.problem }
const wholeNumber = (from: number, to: number) => {
  const error = `must be a whole number from ${String(from)} to ${String(to)}`
  return z.coerce.number({ error }).int({ error }).min(from, { error }).max(to, { error })
}
const eventQuery = z.strictObject({
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional().describe('The last sequence that you have'),
  router: z.string().max(64).optional(),
  limit: wholeNumber(1, 1000).default(100),
  newestFirst: z.stringbool().default(false),
})
const rotateQuery = z.strictObject({
  graceS: wholeNumber(0, 604_800).default(600).describe('How long the key before is honoured, in seconds'),
})
const streamQuery = eventQuery.pick({ after: true, router: true })

/** Who is at the other end, as it was at connect(2). */
export type PeerBehind = (socket: Socket) => Peer | undefined

/** The routes of the control API; the OpenAPI document is made from the same schemas. */
export function addRoutes(
  plain: FastifyInstance,
  { agent, executables, rotateKeys }: ControlParts,
  peerBehind: PeerBehind,
): void {
  const app = plain.withTypeProvider<ZodTypeProvider>()

  app.get('/v1/status', { schema: { response: { 200: api.agentStatus, ...refusals } } }, () => agent.status())

  app.get(
    '/v1/routers/:id',
    { schema: { params: z.object({ id: z.string().max(64) }), response: { 200: api.explanation, ...refusals } } },
    (request) => agent.explain(request.params.id),
  )

  const applicantOf = async ({ raw }: Pick<FastifyRequest, 'raw'>): Promise<Applicant | undefined> => {
    const peer = peerBehind(raw.socket)
    return peer && { by: 'request', peer, executable: await executables.of(peer) }
  }

  const plans = new Tallies<Tallied & { readonly applicant: Applicant | undefined }>(({ applicant, count }) => {
    agent.recorder.configPlanned(applicant, count)
  })
  app.addHook('onClose', () => {
    plans.close()
  })
  app.get('/v1/plan', { schema: { response: { 200: api.planAnswer, ...refusals } } }, async (request) => {
    const applicant = await applicantOf(request)
    const uid = applicant?.by === 'request' ? String(applicant.peer.uid) : 'nobody'
    plans.note(uid, { reason: uid, count: 1, applicant })
    return agent.plan()
  })

  app.post('/v1/apply', { schema: { response: { 200: api.applyAnswer, ...refusals } } }, async (request) => {
    return agent.apply(await applicantOf(request))
  })

  app.post(
    '/v1/secrets/rotate-notifier-keys',
    { schema: { querystring: rotateQuery, response: { 200: api.rotateAnswer, ...refusals } } },
    async (request) => rotateKeys(request.query.graceS * 1000, await applicantOf(request)),
  )

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
      const { durableSeq } = agent.journal.status
      const from = lastEventId(request.headers['last-event-id']) ?? after ?? durableSeq
      if (from > durableSeq) throw notYet(from, durableSeq)
      await streamEvents(reply, agent.journal, {
        after: from,
        ...(router === undefined ? {} : { router }),
      })
    },
  )

  app.get('/v1/verify', { schema: { response: { 200: api.verdict, ...refusals } } }, () => agent.journal.verify())

  app.get('/v1/openapi.json', { schema: { hide: true } }, () => plain.swagger())
}

/** An empty one says that the reader has none yet (WHATWG HTML, 9.2.4). */
function lastEventId(text: string | string[] | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const seq = typeof text === 'string' && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined
  if (seq !== undefined) return seq
  throw new KeepwardError('request-invalid', 'Last-Event-ID is no sequence of a record, wanted a whole number')
}

const notYet = (after: number, durableSeq: number): KeepwardError =>
  new KeepwardError('request-invalid', `There is no record ${after} yet: the newest of this journal is ${durableSeq}`, {
    hint: 'compare the journal id as well: a new file counts from 1',
  })
