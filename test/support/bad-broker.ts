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
const method = (channel: number, classId: number, methodId: number, fields: Buffer = Buffer.alloc(0)): Buffer => {
  const id = Buffer.alloc(4)
  id.writeUInt16BE(classId)
  id.writeUInt16BE(methodId, 2)
  return frame(1, channel, Buffer.concat([id, fields]))
}

const sized = (bytes: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const longText = (text: string): Buffer => sized(Buffer.from(text))
const shortText = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])

/** connection.start: version 0-9, these properties, one mechanism, one locale. */
export const amqpStartOf = (mechanism: string, table: Buffer = Buffer.alloc(0)): Buffer =>
  method(0, 10, 10, Buffer.concat([Buffer.from([0, 9]), sized(table), longText(mechanism), longText('en_US')]))

export const amqpStart = amqpStartOf('PLAIN')

/** A table in a table, so many times. */
export function amqpNested(depth: number): Buffer {
  const levels = Buffer.alloc(depth * 6)
  for (let at = 0; at < depth; at++) {
    levels.write('\0F', at * 6, 'latin1')
    levels.writeUInt32BE((depth - at - 1) * 6, at * 6 + 2)
  }
  return levels
}

/** connection.tune: 2047 channels, frames of 128 KiB, a heartbeat of 1 s where `isQuick`. */
export const amqpTune = (isQuick = false): Buffer => amqpTuneTo(2047, 131_072, isQuick ? 1 : 60)

/** connection.tune to so many channels, bytes a frame, and seconds between heartbeats. */
export function amqpTuneTo(channels: number, frameBytes: number, heartbeatS: number): Buffer {
  const fields = Buffer.alloc(8)
  fields.writeUInt16BE(channels)
  fields.writeUInt32BE(frameBytes, 2)
  fields.writeUInt16BE(heartbeatS, 6)
  return method(0, 10, 30, fields)
}

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

/** basic.deliver of a whole message. */
export const amqpMessage = (content: Buffer): Buffer =>
  Buffer.concat([
    method(1, 60, 60, Buffer.concat([shortText('c'), Buffer.alloc(9), shortText(''), shortText('q')])),
    ...contentOf(content),
  ])

/** basic.return of a whole message: 312, no route. */
export const amqpReturn = (content: Buffer): Buffer =>
  Buffer.concat([
    method(1, 60, 50, Buffer.concat([Buffer.from([1, 0x38]), shortText('NO_ROUTE'), shortText('x'), shortText('k')])),
    ...contentOf(content),
  ])

/** A message whose headers are this table. */
export function amqpHeaders(table: Buffer): Buffer {
  const header = Buffer.alloc(14)
  header.writeUInt16BE(60)
  header.writeUInt16BE(0x2000, 12)
  const fields = Buffer.concat([shortText('c'), Buffer.alloc(9), shortText(''), shortText('q')])
  return Buffer.concat([method(1, 60, 60, fields), frame(2, 1, Buffer.concat([header, sized(table)]))])
}

function contentOf(content: Buffer): Buffer[] {
  const header = Buffer.alloc(14)
  header.writeUInt16BE(60)
  header.writeBigUInt64BE(BigInt(content.length), 4)
  return [frame(2, 1, header), ...framesOf(content)]
}

const framesOf = (content: Buffer): Buffer[] =>
  Array.from({ length: Math.ceil(content.length / 100_000) }, (_unused, at) =>
    frame(3, 1, content.subarray(at * 100_000, (at + 1) * 100_000)),
  )

/** basic.ack of one message. */
export const amqpAck = (tag: bigint): Buffer => method(1, 60, 80, tagged(tag))
/** basic.nack of one message. */
export const amqpNack = (tag: bigint): Buffer => method(1, 60, 120, tagged(tag))

function tagged(tag: bigint): Buffer {
  const fields = Buffer.alloc(9)
  fields.writeBigUInt64BE(tag)
  return fields
}

/** connection.close with a code and words. */
export const amqpClose = (code: number, text: string): Buffer => method(0, 10, 50, ending(code, text))
/** channel.close with a code and words. */
export const amqpChannelClose = (code: number, text: string): Buffer => method(1, 20, 40, ending(code, text))

function ending(code: number, text: string): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, shortText(text), Buffer.alloc(4)])
}

/** connection.blocked for a reason. */
export const amqpBlocked = (reason: string): Buffer => method(0, 10, 60, shortText(reason))
/** connection.secure with a challenge. */
export const amqpSecure = method(0, 10, 20, longText('who are you?'))
/** basic.cancel: nothing more is consumed by this name. */
export const amqpCancel = (consumer: string): Buffer =>
  method(1, 60, 30, Buffer.concat([shortText(consumer), Buffer.from([1])]))

/** queue.declare-ok of a queue of this name. */
export const amqpQueueOk = (name: string): Buffer =>
  method(1, 50, 11, Buffer.concat([shortText(name), Buffer.alloc(8)]))

/** basic.consume-ok */
export const amqpConsumeOk = method(1, 60, 21, Buffer.from([1, 0x63]))

/** A method on a channel that nobody opened. */
export const amqpStray = method(7, 60, 80, Buffer.alloc(9))

export const amqpHeartbeat = frame(8, 0, Buffer.alloc(0))

/** A method frame whose end never comes. */
export const amqpEndless = (bytes: number): Buffer => {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(bytes, 3)
  return head
}

/** Up to where a cast can be sent. */
export const amqpHello = [amqpStart, amqpTune(), amqpOpenOk, amqpChannelOk, amqpConfirmOk, amqpExchangeOk]
/** Up to where a call can be sent. */
export const amqpCallHello = [...amqpHello, amqpQueueOk('reply_'), amqpConsumeOk]

/** One answer for each time that something comes, then `then` for each. */
export const answering =
  (answers: readonly Buffer[], then: (socket: Socket, said: Buffer) => void = () => undefined) =>
  (socket: Socket): void => {
    const left = [...answers]
    socket.on('data', (said) => {
      const next = left.shift()
      if (next === undefined) then(socket, said)
      else socket.write(next)
    })
  }
