import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A TCP way to a server on loopback that can be cut, or fall silent. */
export class Relay implements AsyncDisposable {
  readonly port: number
  readonly targetPort: number
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #is: 'open' | 'cut' | 'silent' = 'open'

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server
    this.port = port
    this.targetPort = targetPort
  }

  static async to(targetPort: number): Promise<Relay> {
    const server = createServer({ pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const relay = new Relay(server, (server.address() as AddressInfo).port, targetPort)
    server.on('connection', (near) => {
      relay.#join(near, targetPort)
    })
    return relay
  }

  /** Connections end, and nobody gets through. */
  cut(): void {
    this.#is = 'cut'
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  /** Connections stay, and not a byte passes. */
  silence(): void {
    this.#is = 'silent'
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  open(): void {
    this.#is = 'open'
    for (const pair of this.#pairs) for (const socket of pair) socket.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(near: Socket, targetPort: number): void {
    if (this.#is === 'cut') {
      near.destroy()
      return
    }
    const far = connect(targetPort, '127.0.0.1')
    const pair = [near, far] as const
    this.#pairs.add(pair)
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (chunk) => {
        if (to.writableLength < maxHeldBytes) to.write(chunk)
        else from.destroy()
      })
      from.on('error', () => undefined)
      from.on('close', () => {
        to.destroy()
        this.#pairs.delete(pair)
      })
    }
    if (this.#is === 'silent') far.pause()
    else near.resume()
  }
}

const maxHeldBytes = 64 * 1024 * 1024
