import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Between two ends of TCP; what it does to a connection can be changed while it runs. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  accepted = 0
  /** Bytes that a server's side may say on one connection before both are cut off; undefined: as many as it likes. */
  cutAfter: number | undefined

  private constructor(target: number | undefined) {
    this.#server = createServer((near) => {
      this.accepted += 1
      this.#keep(near)
      if (target !== undefined) this.#join(near, connect(target, '127.0.0.1'))
    })
  }

  /** `target`: undefined is one that accepts and never says anything. */
  static async start(target: number | undefined): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections that stand. */
  get open(): number {
    return this.#sockets.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.resume()
  }

  #join(near: Socket, far: Socket): void {
    this.#keep(far)
    let left = this.cutAfter ?? Infinity
    near.on('data', (chunk) => far.write(chunk))
    far.on('data', (chunk: Buffer) => {
      near.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) near.destroySoon()
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }
}
