import swagger from '@fastify/swagger'
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { Socket } from 'node:net'
import { KeepwardError } from '../../base/error.ts'
import { listenAt, peerOf, proveWhoConnects, type Peer } from '../../linux/unix-socket.ts'
import type { Logger } from '../log.ts'
import type { ControlParts } from './parts.ts'
import { Audit } from '../../statechange/audit.ts'
import { isReading, permissionOf, type Permission, type Policy } from './permission.ts'
import { refusalOf } from './problem.ts'
import { addRoutes } from './routes.ts'
import { addWellKnown } from './well-known.ts'

export const controlSocketName = 'control.sock'
const requestTimeoutMs = 10_000
const maxBodyBytes = 64 * 1024
const maxConnections = 256
/** Members of the reader group cannot shut root out. */
const maxReaders = 192

/** Serve the control API. Returns how to stop. Throws `state-in-use` or `permission-denied`. */
export async function startControl(parts: ControlParts): Promise<() => Promise<void>> {
  await proveWhoConnects()
  const servers = [await serveSocket(parts)]
  if (parts.metricsPort !== undefined) servers.push(await serveLoopback(parts, parts.metricsPort))
  return async () => {
    await Promise.all(servers.map((server) => server.close()))
  }
}

async function serveSocket(parts: ControlParts): Promise<FastifyInstance> {
  const app = newServer(parts.log)
  const callers = new WeakMap<Socket, Caller>()
  const { claims } = parts.agent
  const audit = new Audit(
    (entry) => {
      claims.audit(entry)
    },
    () => false,
  )
  let readers = 0
  app.server.on('connection', (socket) => {
    const caller = askPermission(socket, parts.policy)
    callers.set(socket, caller)
    if (caller.permission === 'none') audit.denied('connect', caller.peer)
    if (caller.permission !== 'read') return
    readers += 1
    socket.once('close', () => {
      readers -= 1
    })
    if (readers > maxReaders) socket.destroy()
  })
  app.addHook('onRequest', async (request, reply) => {
    const { permission, peer } = callers.get(request.raw.socket) ?? nobody
    if (permission === 'all' || (permission === 'read' && isReading(request.method))) return
    if (permission === 'read') audit.denied('change', peer)
    reply.header('connection', 'close')
    throw new KeepwardError(
      'permission-denied',
      `This user may not ${isReading(request.method) ? 'read' : 'change'} anything here`,
      {
        hint: 'root and the agent’s own user may do all, members of control.group may read',
      },
    )
  })
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Keepward control API', version: parts.version } },
    transform: jsonSchemaTransform,
  })
  await app.register((inner, _options, done) => {
    addWellKnown(inner, parts)
    addRoutes(inner, parts, (socket) => callers.get(socket)?.peer)
    done()
  })
  // fastify ends connections only of a server that it bound itself; an event stream would hold the agent's end up.
  app.addHook('preClose', (done) => {
    audit.close()
    app.server.closeAllConnections()
    done()
  })
  await app.ready()
  const { readerGid } = parts.policy
  const access = readerGid === undefined ? { mode: 0o600 } : { mode: 0o660, gid: readerGid }
  await listenAt(app.server, parts.dir, controlSocketName, access)
  return app
}

async function serveLoopback(parts: ControlParts, port: number): Promise<FastifyInstance> {
  const app = newServer(parts.log)
  addWellKnown(app, parts)
  await app.listen({ host: '127.0.0.1', port })
  return app
}

function newServer(log: Logger): FastifyInstance {
  const app = fastify({
    // What the router of requests refuses reaches no handler of ours.
    frameworkErrors: (error, _request, reply) => {
      const { status, problem } = refusalOf(error)
      void (reply as FastifyReply).code(status).send(problem)
    },
    requestTimeout: requestTimeoutMs,
    connectionTimeout: 0,
    bodyLimit: maxBodyBytes,
    http: { maxHeaderSize: 8192, headersTimeout: requestTimeoutMs },
    forceCloseConnections: true,
  })
  app.server.maxConnections = maxConnections
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler<FastifyError | KeepwardError>((error, request, reply) => {
    const { status, problem, unforeseen } = refusalOf(error)
    // The path of the route, not what was asked for: that is whatever the asker likes.
    if (unforeseen !== undefined)
      log.error({ route: request.routeOptions.url, text: unforeseen.stack }, 'the control API failed to answer')
    return reply.code(status).send(problem)
  })
  app.setNotFoundHandler((request, reply) => {
    const { problem } = refusalOf(new KeepwardError('request-invalid', `There is no ${request.method} ${request.url}`))
    return reply.code(404).send(problem)
  })
  return app
}

interface Caller {
  readonly permission: Permission
  readonly peer: Peer | undefined
}

/** Who it is was decided at connect(2); who cannot be named may do nothing. */
function askPermission(socket: Socket, policy: Policy): Caller {
  try {
    const peer = peerOf(socket, 'with-groups')
    return { permission: permissionOf(peer, policy), peer }
  } catch {
    return nobody
  }
}

const nobody: Caller = { permission: 'none', peer: undefined }
