import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { KeepwardError } from '../base/error.ts'
import { controlGroupOf } from '../linux/process-group.ts'
import { peerOf } from '../linux/unix-socket.ts'
import { Admission, type ConnectionLimits } from './admission.ts'
import { rawRefusal, reply } from './answer.ts'
import type { Audit } from './audit.ts'
import { Connections, type Connection } from './connections.ts'
import { readMessage } from './message.ts'
import { namesGroups, type Policy } from './policy.ts'
import { refusalPauseMs, type Receiver } from './receiver.ts'
import { refusals, type RefusalCode } from './refusal.ts'

export interface HttpParts {
  readonly receiver: Receiver
  readonly audit: Audit
  readonly policy: Policy
  readonly connections: ConnectionLimits
}

const maxHeaderBytes = 4096
const maxBodyBytes = 1024
/** From connect(2) to the last byte of the request. */
export const requestDeadlineMs = 5000
/** Often, so that few are due at each. */
const deadlineCheckMs = 100
const idleMs = 30_000
/** Of root and our own user together, and of all others. */
const roomSize = 8192

/** A server that is not listening yet, and what ends with it. */
export interface HttpServer {
  readonly server: Server
  /** Connections that are left unread. */
  waiting(): number
  /** End every connection. */
  endAll(): void
}

/** What the handlers of a server share. */
interface Desk extends Pick<HttpParts, 'receiver' | 'audit' | 'policy'> {
  readonly connections: Connections
  readonly admission: Admission
}

/** An HTTP/1.1 server. Node.js parses, strictly; what it lets through is judged here. */
export function makeHttpServer(parts: HttpParts): HttpServer {
  const connections = new Connections()
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    // Of the requests behind a connection's first one.
    headersTimeout: requestDeadlineMs,
    requestTimeout: requestDeadlineMs,
    connectionsCheckingInterval: deadlineCheckMs,
    keepAliveTimeout: idleMs,
    // Neutron's servers never asked for it.
    requireHostHeader: false,
    insecureHTTPParser: false,
    IncomingMessage: arrivals(connections),
    shouldUpgradeCallback: () => true,
  })
  const admission = new Admission({
    policy: parts.policy,
    limits: parts.connections,
    roomSize,
    deadlineMs: requestDeadlineMs,
    serve: heardBy(server),
    end: ({ socket }) => {
      connections.endSoon(socket)
    },
    onExcess: (excess, { caller }) => {
      parts.receiver.exceeded(excess, caller.sender, caller.controlGroup)
    },
  })
  const desk = { ...parts, connections, admission }
  server.on('connection', (socket) => {
    welcome(socket, desk)
  })
  server.on('request', (request, response) => {
    hear(request, response, desk)
  })
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    refuseForm(request, response, 'request-malformed', desk)
  })
  server.on('connect', ({ socket }) => {
    turnAway(socket, 'method-unsupported', desk)
  })
  server.on('upgrade', ({ socket }) => {
    const connection = connections.of(socket)
    if (connection?.condemned === false)
      parts.receiver.exceeded('requests', connection.caller.sender, connection.caller.controlGroup)
    leave(socket, connections, () => {
      socket.end()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connections.of(socket)
    if (error.code?.startsWith('HPE_') !== true || connection === undefined) {
      // Gone, or too slow: there is nobody to tell.
      if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && connection !== undefined)
        parts.receiver.exceeded('deadline', connection.caller.sender, connection.caller.controlGroup)
      connections.endSoon(socket)
      return
    }
    // The parser says it again for each piece that follows, and for the end.
    if (connection.condemned) return
    turnAway(socket, error.code === 'HPE_HEADER_OVERFLOW' ? 'header-too-large' : 'request-malformed', desk)
  })
  const sweeping = setInterval(() => {
    admission.sweep()
  }, deadlineCheckMs).unref()
  server.on('close', () => {
    clearInterval(sweeping)
  })
  const endAll = () => {
    admission.close()
    server.closeAllConnections()
  }
  return { server, waiting: () => admission.waiting, endAll }
}

/** Connections wait, unread, until they are handed to what Node.js itself does with one. */
function heardBy(server: Server): (connection: Connection) => void {
  const takes = server.listeners('connection')
  server.removeAllListeners('connection')
  // One that has asked may close its half; Node.js would close ours before the answer.
  Object.assign(server, { httpAllowHalfOpen: true, pauseOnConnect: true })
  return ({ socket }) => {
    for (const take of takes) take.call(server, socket)
    socket.resume()
  }
}

/**
 * Node.js parses all that has come at once, of which a few bytes make a request: seconds of work for one who sends nothing else.
 * Its parser stops where another protocol begins, so the request that is not to be heard any more says that one does: behind one
 * whose form was refused nothing can be trusted to start where it seems to, and nobody is so many requests ahead of his answers.
 */
function arrivals(connections: Connections): typeof IncomingMessage {
  return class extends IncomingMessage {
    #stops: boolean | undefined

    get upgrade(): boolean {
      const { socket, method } = this
      this.#stops ??= method === 'CONNECT' || connections.isCondemned(socket) || connections.isAhead(socket)
      return this.#stops
    }

    /** What the parser found of its own counts for nothing. */
    set upgrade(_) {
      return
    }
  }
}

/** The server has let go of this socket, and neither reads its end nor looks at its deadline. */
function leave(socket: Socket, connections: Connections, farewell: () => void): void {
  const destroy = () => {
    socket.destroy()
  }
  socket.once('finish', destroy)
  socket.on('error', destroy)
  socket.setTimeout(requestDeadlineMs, destroy)
  connections.inTurn(socket, farewell)
}

/** Who it is was decided at connect(2); one whom the kernel does not name is not heard. */
function welcome(socket: Socket, { connections, admission, policy }: Desk): void {
  try {
    const sender = peerOf(socket, namesGroups(policy) ? 'with-groups' : 'without-groups')
    const caller = { sender, controlGroup: controlGroupOf(sender.pid) }
    admission.arrive(connections.add(socket, caller, requestDeadlineMs))
  } catch (error) {
    if (!(error instanceof KeepwardError)) throw error
    socket.destroy()
  }
}

function hear(request: IncomingMessage, response: ServerResponse, desk: Desk): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const connection = desk.connections.of(request.socket)
  if (connection === undefined) {
    request.socket.destroy()
  } else if (blockBytes(request.rawHeaders) > maxHeaderBytes) {
    refuseForm(request, response, 'header-too-large', desk)
  } else if (!isFit(request)) {
    refuseForm(request, response, 'request-malformed', desk)
  } else if (length === undefined && encoding === undefined) {
    judge(request, response, connection, desk)
  } else hearBody(request, response, connection, desk)
}

function hearBody(request: IncomingMessage, response: ServerResponse, connection: Connection, desk: Desk): void {
  let sizeBytes = 0
  request.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > maxBodyBytes && !response.headersSent) refuseForm(request, response, 'body-too-large', desk)
  })
  request.on('end', () => {
    if (response.headersSent) return
    if (request.rawTrailers.length > 0) refuseForm(request, response, 'request-malformed', desk)
    else judge(request, response, connection, desk)
  })
}

/** The parser takes versions 0.9 and 2.0 too, and codings of every name. */
function isFit({ httpVersion, headers: { 'transfer-encoding': encoding } }: IncomingMessage): boolean {
  return (httpVersion === '1.1' || httpVersion === '1.0') && (encoding === undefined || encoding === 'chunked')
}

/** Close outweighs keep-alive beside it (RFC 9112, 9.3); of version 1.0 the parser has it the other way about. */
function saysClose({ headers: { connection = '' } }: IncomingMessage): boolean {
  return /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(connection)
}

/** The parser counts names and values only. */
function blockBytes(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((sum, text) => sum + text.length + 2, 0)
}

function judge(request: IncomingMessage, response: ServerResponse, connection: Connection, desk: Desk): void {
  const message = readMessage(request.method, request.rawHeaders)
  if ('refusal' in message) {
    refuseForm(request, response, message.refusal, desk)
    return
  }
  const { connections, admission, receiver } = desk
  const { sender, controlGroup } = connection.caller
  if (response.shouldKeepAlive && saysClose(request)) {
    response.shouldKeepAlive = false
    connection.condemned = true
  }
  admission.spoke(connection)
  connections.owe(connection, response)
  void receiver.receive(message, sender, controlGroup).then((answer) => {
    const isForbidden = answer !== 'taken' && refusals[answer].status === 403
    // Whoever floods waits for the refusal, holding one of his own connections meanwhile.
    const pauseMs = isForbidden && receiver.isFlooding(sender) ? refusalPauseMs : 0
    if (pauseMs === 0) reply(response, answer)
    else setTimeout(reply, pauseMs, response, answer)
  })
}

/** What is wrong with the form of a request is audited here; what is wrong with its content, by the receiver. */
function refuseForm(request: IncomingMessage, response: ServerResponse, code: RefusalCode, desk: Desk): void {
  const connection = desk.connections.of(request.socket)
  if (connection !== undefined) {
    const { sender, controlGroup } = connection.caller
    desk.audit.refused(code, sender, controlGroup, readMessage(request.method, request.rawHeaders))
    desk.admission.spoke(connection)
    desk.connections.owe(connection, response)
    connection.condemned = true
  }
  reply(response, code)
}

/** Refuse where there is no response to write to. */
function turnAway(socket: Socket, code: RefusalCode, { connections, audit }: Desk): void {
  const connection = connections.of(socket)
  if (connection !== undefined) {
    connection.condemned = true
    audit.refused(code, connection.caller.sender, connection.caller.controlGroup, undefined)
  }
  leave(socket, connections, () => {
    if (socket.writable) socket.end(rawRefusal(code))
    else socket.destroy()
  })
}
