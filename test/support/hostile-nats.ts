import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { descriptionOf, streams } from '../../src/report/nats/layout.ts'

/** One message of a client: what it wants stored or asks. */
export interface Asked {
  readonly subject: string
  readonly reply: string
  /** Headers and data. */
  readonly payload: string
}

export interface HostileOptions {
  /** Words of the INFO besides those that are needed. */
  readonly info?: Readonly<Record<string, unknown>>
  /** Of each stream, besides what is right. */
  readonly config?: Readonly<Record<string, unknown>>
  /** What is said once the client listens; nothing else is then. */
  readonly greet?: (socket: Socket, sid: string) => void
  /** The answer to what is not a question about a stream; undefined: none. */
  readonly answer?: (asked: Asked) => string | undefined
}

/** Speaks NATS in the clear and knows all streams to be right; else it does what it is told, however wrong. */
export class HostileNats implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #options: HostileOptions
  accepted = 0
  #heard: () => void = () => undefined

  private constructor(options: HostileOptions) {
    this.#options = options
    this.#server = createServer((socket) => {
      this.#serve(socket)
    })
  }

  static async start(options: HostileOptions): Promise<HostileNats> {
    const hostile = new HostileNats(options)
    hostile.#server.listen(0, '127.0.0.1')
    await once(hostile.#server, 'listening')
    return hostile
  }

  get url(): string {
    return `nats://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  /** To each client. Resolves once one has read it. */
  async say(words: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#heard = () => {
      resolve(undefined)
    }
    for (const socket of this.#sockets) socket.write(`${words}PING\r\n`)
    await promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(socket: Socket): void {
    this.accepted += 1
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    const info = { version: '2.15.1', headers: true, max_payload: 1_048_576, ...this.#options.info }
    socket.write(`INFO ${JSON.stringify(info)}\r\n`)
    let [unread, sid, isGreeted] = ['', '', false]
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1')
      for (;;) {
        const end = unread.indexOf('\r\n')
        if (end < 0) return
        const [verb = '', ...words] = unread.slice(0, end).split(' ')
        const size = /^H?PUB$/.test(verb) ? Number(words.at(-1)) + 2 : 0
        if (unread.length < end + 2 + size) return
        const payload = unread.slice(end + 2, end + size)
        unread = unread.slice(end + 2 + size)
        if (verb === 'PING') socket.write('PONG\r\n')
        if (verb === 'PONG') this.#heard()
        if (verb === 'SUB') {
          sid = words.at(-1) ?? ''
          if (!isGreeted) this.#options.greet?.(socket, sid)
          isGreeted = true
        }
        if (size > 0 && this.#options.greet === undefined)
          this.#asked(socket, { subject: words[0] ?? '', reply: words[1] ?? '', payload }, sid)
      }
    })
  }

  #asked(socket: Socket, asked: Asked, sid: string): void {
    const stream = streams.find(({ kind }) => asked.subject.endsWith(`.STREAM.INFO.${kind.name}`))
    const config = stream && { ...stream.kind, description: descriptionOf(stream), ...this.#options.config }
    const answer =
      config === undefined ? this.#options.answer?.(asked) : JSON.stringify({ type: 'x', config, state: {} })
    if (answer === undefined) return
    // One subscription for those of the library, one for ours: both are told, and each takes what is its own.
    for (let each = 1; each <= Number(sid); each++)
      socket.write(`MSG ${asked.reply} ${String(each)} ${String(answer.length)}\r\n${answer}\r\n`)
  }
}
