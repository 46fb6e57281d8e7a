import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Says something of its own to whoever connects, on 127.0.0.1. */
export class BadBroker implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** How many connections there were. */
  connections = 0

  private constructor(server: Server) {
    this.#server = server
  }

  /** `act` is called for each connection. */
  static async start(act: (socket: Socket) => void): Promise<BadBroker> {
    const server = createServer()
    const broker = new BadBroker(server)
    server.on('connection', (socket) => {
      broker.connections += 1
      broker.#sockets.add(socket)
      socket.on('close', () => broker.#sockets.delete(socket))
      socket.on('error', () => undefined)
      socket.on('data', () => undefined)
      act(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return broker
  }

  get url(): string {
    return `amqp://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  /** Connections that are there now. */
  get open(): number {
    return this.#sockets.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

const frame = (type: number, channel: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(7)
  head.writeUInt8(type)
  head.writeUInt16BE(channel, 1)
  head.writeUInt32BE(payload.length, 3)
  return Buffer.concat([head, payload, Buffer.from([0xce])])
}

/** A method of AMQP 0-9-1 on a channel; `fields` is as the specification lays it out. */
const method = (channel: number, classId: number, methodId: number, fields = Buffer.alloc(0)): Buffer => {
  const id = Buffer.alloc(4)
  id.writeUInt16BE(classId)
  id.writeUInt16BE(methodId, 2)
  return frame(1, channel, Buffer.concat([id, fields]))
}

const longText = (text: string): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, Buffer.from(text)])
}

/** connection.start: version 0-9, no properties, one mechanism, one locale. */
export const amqpStart = method(
  0,
  10,
  10,
  Buffer.concat([Buffer.from([0, 9, 0, 0, 0, 0]), longText('PLAIN'), longText('en_US')]),
)

/** connection.tune: 2047 channels, frames of 128 KiB, a heartbeat of 1 s where `isQuick`. */
export const amqpTune = (isQuick = false): Buffer =>
  method(0, 10, 30, Buffer.from([0x07, 0xff, 0, 2, 0, 0, 0, isQuick ? 1 : 60]))

/** connection.open-ok */
export const amqpOpenOk = method(0, 10, 41, Buffer.from([0]))
/** channel.open-ok */
export const amqpChannelOk = method(1, 20, 11, Buffer.alloc(4))
/** confirm.select-ok */
export const amqpConfirmOk = method(1, 85, 11)
/** exchange.declare-ok */
export const amqpExchangeOk = method(1, 40, 11)

/** basic.deliver of a message that claims to have so many bytes, and one frame of them. */
export function amqpDelivery(claimedBytes: bigint): Buffer {
  const fields = Buffer.concat([Buffer.from([1, 0x63]), Buffer.alloc(8), Buffer.from([0, 0, 1, 0x71])])
  const header = Buffer.alloc(14)
  header.writeUInt16BE(60)
  header.writeBigUInt64BE(claimedBytes, 4)
  return Buffer.concat([method(1, 60, 60, fields), frame(2, 1, header), frame(3, 1, Buffer.alloc(1000))])
}

/** A method frame whose end never comes. */
export const amqpEndless = (bytes: number): Buffer => {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(bytes, 3)
  return head
}
