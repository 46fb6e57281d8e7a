import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { KeepwardError } from '../base/error.ts'
import { controlGroupOf } from '../linux/process-group.ts'
import { peerOf } from '../linux/unix-socket.ts'
import type { Audit } from './audit.ts'
import { Connections, type Caller, type ConnectionLimits } from './connections.ts'
import { readMessage } from './message.ts'
import { namesGroups, type Policy } from './policy.ts'
import { refusalPauseMs, type Answer, type Receiver } from './receiver.ts'
import { problemText, refusals, type RefusalCode } from './refusal.ts'

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
/** Of all users together. */
const maxConnections = 16_384

/** An HTTP/1.1 server that is not listening yet. Node.js parses, strictly; what it lets through is judged here. */
export function makeHttpServer(parts: HttpParts): Server {
  const connections = new Connections(parts.policy, parts.connections, maxConnections / 2)
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
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
  server.maxConnections = maxConnections
  // One that has asked may close its half; Node.js would close ours before the answer.
  Object.assign(server, { httpAllowHalfOpen: true })
  server.on('connection', (socket) => {
    welcome(socket, connections, parts)
  })
  server.on('request', (request, response) => {
    hear(request, response, connections, parts)
  })
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    refuseForm(request, response, 'request-malformed', connections, parts)
  })
  server.on('connect', (request, socket) => {
    const caller = connections.callerOf(request.socket)
    if (caller !== undefined) parts.audit.refused('method-unsupported', caller.sender, caller.controlGroup, undefined)
    leave(request.socket, connections, () => {
      turnAway(socket, 'method-unsupported')
    })
  })
  server.on('upgrade', ({ socket }) => {
    const caller = connections.callerOf(socket)
    const isRefused = connections.isCondemned(socket)
    if (caller !== undefined && !isRefused) parts.audit.limited('requests', caller.sender, caller.controlGroup)
    leave(socket, connections, () => {
      socket.end()
    })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const caller = connections.callerOf(socket)
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'header-too-large' : 'request-malformed'
    if (error.code?.startsWith('HPE_') !== true || caller === undefined) {
      // Gone, or too slow: there is nobody to tell.
      connections.endSoon(socket)
      return
    }
    // The parser says it again for each piece that follows, and for the end.
    if (connections.isCondemned(socket)) return
    connections.condemn(socket)
    parts.audit.refused(code, caller.sender, caller.controlGroup, undefined)
    connections.inTurn(socket, () => {
      turnAway(socket, code)
    })
  })
  return server
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
function welcome(socket: Socket, connections: Connections, { audit, policy }: HttpParts): void {
  try {
    const sender = peerOf(socket, namesGroups(policy) ? 'with-groups' : 'without-groups')
    const caller = { sender, controlGroup: controlGroupOf(sender.pid) }
    if (!connections.admit(socket, caller)) audit.limited('connections', sender, caller.controlGroup)
  } catch (error) {
    if (!(error instanceof KeepwardError)) throw error
    socket.destroy()
  }
}

function hear(request: IncomingMessage, response: ServerResponse, connections: Connections, parts: HttpParts): void {
  const caller = connections.spoke(request.socket)
  if (caller === undefined) {
    request.socket.destroy()
    return
  }
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const refuse = (code: RefusalCode) => {
    refuseForm(request, response, code, connections, parts)
  }
  if (blockBytes(request.rawHeaders) > maxHeaderBytes) refuse('header-too-large')
  else if (!isFit(request)) refuse('request-malformed')
  else if (length === undefined && encoding === undefined) judge(request, response, caller, refuse, connections, parts)
  else {
    let sizeBytes = 0
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > maxBodyBytes && !response.headersSent) refuse('body-too-large')
    })
    request.on('end', () => {
      if (response.headersSent) return
      if (request.rawTrailers.length > 0) refuse('request-malformed')
      else judge(request, response, caller, refuse, connections, parts)
    })
  }
}

/** The parser takes versions 0.9 and 2.0 too, and codings of every name. */
function isFit({ httpVersion, headers: { 'transfer-encoding': encoding } }: IncomingMessage): boolean {
  return (httpVersion === '1.1' || httpVersion === '1.0') && (encoding === undefined || encoding === 'chunked')
}

/** The parser counts names and values only. */
function blockBytes(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((sum, text) => sum + text.length + 2, 0)
}

function judge(
  request: IncomingMessage,
  response: ServerResponse,
  { sender, controlGroup }: Caller,
  refuseAs: (code: RefusalCode) => void,
  connections: Connections,
  { receiver }: HttpParts,
): void {
  const message = readMessage(request.method, request.rawHeaders)
  if (typeof message === 'string') {
    refuseAs(message)
    return
  }
  connections.owe(request, response)
  void receiver.receive(message, sender, controlGroup).then((answer) => {
    const isForbidden = answer !== 'taken' && refusals[answer].status === 403
    // Whoever floods waits for the refusal, holding one of his own connections meanwhile.
    const pauseMs = isForbidden && receiver.isFlooding(sender) ? refusalPauseMs : 0
    if (pauseMs === 0) reply(response, answer)
    else setTimeout(reply, pauseMs, response, answer)
  })
}

/** What is wrong with the form of a request is audited here; what is wrong with its content, by the receiver. */
function refuseForm(
  request: IncomingMessage,
  response: ServerResponse,
  code: RefusalCode,
  connections: Connections,
  { audit }: HttpParts,
): void {
  const caller = connections.callerOf(request.socket)
  if (caller !== undefined) audit.refused(code, caller.sender, caller.controlGroup, undefined)
  connections.condemn(request.socket)
  connections.owe(request, response)
  reply(response, code)
}

/** A wrong or forbidden request ends its connection; one that may be repeated does not. */
const ending = new Set([400, 403, 413, 431])

function reply(response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return
  if (answer === 'taken') {
    response.writeHead(200, takenHeaders)
    response.end()
    return
  }
  const { status } = refusals[answer]
  const text = problemText(answer)
  response.writeHead(status, [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(text.length),
    ...(status === 429 || status === 503 ? ['Retry-After', '1'] : []),
    ...(ending.has(status) ? ['Connection', 'close'] : []),
  ])
  response.end(text)
}

const takenHeaders = ['Content-Length', '0']

/** Where there is no response to write to. */
function turnAway(socket: Duplex, code: RefusalCode): void {
  const { status } = refusals[code]
  const text = problemText(code)
  const head = [
    `HTTP/1.1 ${status} ${status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${text.length}`,
    'Connection: close',
  ]
  if (socket.writable) socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
  else socket.destroy()
}
