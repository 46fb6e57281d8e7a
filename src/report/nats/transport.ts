import { setTransportFactory, type ConnectionOptions, type Server, type Transport } from '@nats-io/nats-core/internal'
import type { Socket } from 'node:net'
import { guardParser } from './parse.ts'
import type { Way } from './way.ts'

/** A server that asks more often than this, and reads no answer, is none. */
const maxUnread = 1000
const answerBytes = 'PONG\r\n'.length

/** What the library hands through to its transport. */
export interface WayOptions extends ConnectionOptions {
  readonly way: Way
}

/** Have the library use ways that are open already. It knows one kind of transport at a time, in the whole process. */
export function useWays(): void {
  guardParser()
  setTransportFactory({ factory: () => new WayTransport() })
}

/** One open connection, as the library wants it; it connects once. */
class WayTransport implements Transport {
  readonly lang = 'nats.js'
  readonly version = '3.4.0'
  readonly #closed = Promise.withResolvers<undefined>()
  #socket: Socket | undefined
  #info: Buffer | undefined
  #encrypted = false
  #done = false
  /** Answers to PING since all that we said was taken. */
  #unread = 0
  closeError?: Error

  get isClosed(): boolean {
    return this.#done
  }

  connect(_server: Server, options: ConnectionOptions): Promise<void> {
    const { socket, info } = (options as WayOptions).way
    this.#info = info
    this.#encrypted = 'encrypted' in socket
    this.#socket = socket
    socket.on('error', (error: Error) => {
      this.closeError = error
    })
    socket.on('close', () => {
      this.#end()
    })
    if (socket.destroyed) this.#end()
    return Promise.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    if (this.#info === undefined || this.#socket === undefined) return
    try {
      yield this.#info
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) yield chunk
    } catch {
      // What ended it is in closeError.
    } finally {
      // Here too when the library cannot read what it was given: nobody would read on.
      this.#end()
    }
  }

  isEncrypted(): boolean {
    return this.#encrypted
  }

  send(frame: Uint8Array): void {
    const socket = this.#socket
    if (this.#done || socket === undefined) return
    if (!socket.writableNeedDrain) this.#unread = 0
    else if (frame.length === answerBytes && (this.#unread += 1) > maxUnread) {
      this.#end()
      return
    }
    // Whether it left is not asked: the answer that does not come says it.
    socket.write(frame)
  }

  close(error?: Error): Promise<void> {
    if (error !== undefined) this.closeError = error
    this.#end()
    return Promise.resolve()
  }

  disconnect(): void {
    this.#end()
  }

  discard(): void {
    this.#end()
  }

  closed(): Promise<Error | undefined> {
    return this.#closed.promise.then(() => this.closeError)
  }

  #end(): void {
    this.#done = true
    this.#socket?.destroy()
    this.#closed.resolve(undefined)
  }
}
