import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Report } from '../../src/report/report.ts'

/** That a router became primary, as a sink is told. */
export const transitionReport = (router: string, seq: number): Report => ({
  router,
  record: {
    ...{ seq, kind: 'transition', agent: 'host.1', epoch: { journal: 'e'.repeat(32), start: 2 }, boot: 'b' },
    ...{ at: { wallMs: Date.parse('2026-11-22T04:00:00.250Z') + 0.5, monoMs: 12.5 }, late: false },
    ...{
      body: { from: 'backup', to: 'primary' },
      previous: '0'.repeat(64),
      hash: '1'.repeat(64),
      router,
      routerSeq: 3,
    },
  },
  fromSeq: seq - 2,
  isRepeat: false,
})

export interface Told {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly router: string
  /** How many requests came over this connection before. */
  readonly before: number
}

type Answering = (response: ServerResponse, told: Told) => void

/** Whoever receives webhooks: HTTPS on 127.0.0.1, and an answer that each test chooses. */
export class Endpoint {
  readonly told: Told[] = []
  readonly sockets = new Set<TLSSocket>()
  connections = 0
  answer: Answering = (response) => response.writeHead(204).end()
  readonly #server: Server
  readonly #requests = new WeakMap<object, number>()

  private constructor(directory: string, wantsClients: boolean) {
    const pem = (name: string) => readFileSync(join(directory, name))
    const trust = wantsClients ? { requestCert: true, rejectUnauthorized: true, ca: pem('ca.pem') } : {}
    this.#server = createServer({ key: pem('server.key'), cert: pem('server.pem'), ...trust }, (request, response) => {
      void this.#hear(request, response)
    })
    this.#server.on('connection', () => (this.connections += 1))
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => undefined)
    })
  }

  /** With what `makeCertificates` made in the directory. */
  static async start(directory: string, { wantsClients = false, port = 0 } = {}): Promise<Endpoint> {
    const endpoint = new Endpoint(directory, wantsClients)
    endpoint.#server.listen(port, '127.0.0.1')
    await once(endpoint.#server, 'listening')
    return endpoint
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get routers(): readonly string[] {
    return this.told.map(({ router }) => router)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  async #hear(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers, socket } = request
    const before = this.#requests.get(socket) ?? 0
    this.#requests.set(socket, before + 1)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString('utf8')
    const { subject } = JSON.parse(body) as { readonly subject: string }
    const told = { method, url, headers, body, router: subject, before }
    this.told.push(told)
    this.answer(response, told)
  }
}
