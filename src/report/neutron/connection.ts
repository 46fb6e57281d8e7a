import type { SecureContext } from 'node:tls'
import { connect, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib'
import type { Secret } from '../../base/secret.ts'
import { resolveAsNode } from '../../linux/resolve.ts'
import type { NeutronSettings } from '../settings.ts'
import type { Broker } from './broker.ts'
import type { Encoded } from './message.ts'
import { Trouble, troubleOf } from './trouble.ts'

export interface ConnectionParts {
  readonly broker: Broker
  readonly settings: Pick<NeutronSettings, 'virtualHost' | 'user' | 'exchange' | 'topic' | 'replyQueue'>
  readonly password: Secret
  /** Undefined: in the clear. */
  readonly tls: SecureContext | undefined
  /** Where answers are to go; undefined: nobody answers. */
  readonly replyQueue: string | undefined
  readonly heard: (reply: Buffer) => void
  /** The broker takes nothing as it is short of something; undefined: it does again. */
  readonly blocked: (reason: string | undefined) => void
  /** Called once. */
  readonly lost: (why: Trouble) => void
}

/** The broker has not said that it has it: it may have it. */
export class Unconfirmed extends Error {}
/** No queue of that topic is there. */
export class Unroutable extends Error {}

/** How amqplib tells a refusal from the end of the channel. */
const nacked = 'message nacked'
const openDeadlineMs = 10_000
const closeDeadlineMs = 1000
const heartbeatSeconds = 15
/** RabbitMQ's own; what is longer is no frame. */
const maxFrameBytes = 131_072
/** Of what comes, answers: one has a traceback at most. */
const maxMessageBytes = 1024 * 1024
/** Some are under way at once; the others were given up, as with a queue that has lost its majority. */
const maxUnconfirmed = 1000

/** One connection to one broker: it is opened, it works, and once it is lost it is of no more use. */
export class Connection {
  readonly #parts: ConnectionParts
  readonly #model: ChannelModel
  readonly #channel: ConfirmChannel
  /** Destroys the socket: amqplib only ends it, and a peer that hangs would keep it. */
  readonly #socket: AbortController
  /** What is published and not confirmed, by how to know it when it is returned. */
  readonly #published = new Map<string, { isReturned: boolean }>()
  /** Those whose sender waits no more too. */
  #unconfirmed = 0
  #isLost = false

  private constructor(parts: ConnectionParts, model: ChannelModel, channel: ConfirmChannel, socket: AbortController) {
    this.#parts = parts
    this.#model = model
    this.#channel = channel
    this.#socket = socket
  }

  /** Throws {@link Trouble}, at the latest after 10 s or when `signal` aborts. */
  static async open(parts: ConnectionParts, signal: AbortSignal): Promise<Connection> {
    const socket = new AbortController()
    const giveUp = () => {
      socket.abort(new Trouble('unreachable', `says nothing for ${String(openDeadlineMs / 1000)} s`))
    }
    const deadline = setTimeout(giveUp, openDeadlineMs)
    signal.addEventListener('abort', giveUp)
    try {
      return await unlessAborted(Connection.#open(parts, socket), socket.signal)
    } catch (error) {
      const why: unknown = socket.signal.aborted ? socket.signal.reason : error
      socket.abort()
      throw troubleOf(why, parts)
    } finally {
      clearTimeout(deadline)
      signal.removeEventListener('abort', giveUp)
    }
  }

  static async #open(parts: ConnectionParts, socket: AbortController): Promise<Connection> {
    const model = await connect(addressOf(parts), {
      ...{ noDelay: true, keepAlive: true, signal: socket.signal, lookup: resolveAsNode },
      ...(parts.tls === undefined ? {} : { secureContext: parts.tls, rejectUnauthorized: true }),
    })
    // What is wrong is told by who waits, or by the end of the connection; unheard it would end the process.
    let trouble: unknown
    model.on('error', (error) => (trouble ??= error))
    // What ends a connection says more than that a question was not answered.
    const explain = (error: unknown): never => {
      throw trouble ?? error
    }
    const channel = await model.createConfirmChannel().catch(explain)
    channel.on('error', (error) => (trouble ??= error))
    boundMessages(channel, socket)
    const connection = new Connection(parts, model, channel, socket)
    const isLost = (error?: Error) => {
      connection.#lose(trouble ?? error ?? new Error('it closes the connection'))
    }
    // An error comes before the end, for which a broker that means ill lets us wait for ever.
    for (const end of ['error', 'close']) {
      model.on(end, isLost)
      channel.on(end, isLost)
    }
    model.on('blocked', parts.blocked)
    model.on('unblocked', () => {
      parts.blocked(undefined)
    })
    channel.on('return', ({ content }) => {
      const known = connection.#published.get(content.toString('utf8'))
      if (known !== undefined) known.isReturned = true
    })
    await connection.#prepare().catch(explain)
    return connection
  }

  /** Nothing of Neutron's is made: the exchange is there, of whatever kind, or Neutron was never here. */
  async #prepare(): Promise<void> {
    const { settings, replyQueue, heard } = this.#parts
    await this.#channel.checkExchange(settings.exchange)
    if (replyQueue === undefined) return
    await this.#channel.assertQueue(replyQueue, replyQueueOptions(settings.replyQueue))
    await this.#channel.consume(
      replyQueue,
      (message) => {
        if (message !== null) heard(message.content)
        else this.#lose(new Error('the queue for answers was removed'))
      },
      // What is lost on the way is asked for again.
      { noAck: true },
    )
  }

  /** Aborts when it is lost or closed. */
  get gone(): AbortSignal {
    return this.#socket.signal
  }

  /** Resolves once the broker has put it into a queue. Throws {@link Unroutable}, {@link Unconfirmed}, or that the broker refuses it. */
  publish({ content, properties }: Encoded): Promise<void> {
    const { exchange, topic } = this.#parts.settings
    const key = content.toString('utf8')
    const known = { isReturned: false }
    this.#published.set(key, known)
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    if (++this.#unconfirmed > maxUnconfirmed) this.#lose(new Trouble('unreachable', 'confirms nothing'))
    const confirmed = (error: unknown) => {
      this.#unconfirmed -= 1
      this.#published.delete(key)
      if (error instanceof Error && error.message === nacked) reject(new Error('The broker refuses the message'))
      else if (error instanceof Error) reject(new Unconfirmed('The connection to the broker was lost'))
      else if (known.isReturned) reject(new Unroutable(`Nobody listens on the topic ${topic}`))
      else resolve(undefined)
    }
    try {
      this.#channel.publish(exchange, topic, content, { ...properties, mandatory: true }, confirmed)
    } catch (error) {
      this.#published.delete(key)
      // It may be about to close, and wait for the broker to agree.
      this.#lose(error)
      reject(new Unconfirmed('The connection to the broker was lost'))
    }
    return promise
  }

  /** Orderly where the broker still answers; never longer than 1 s. */
  async close(): Promise<void> {
    if (this.#isLost) return
    this.#isLost = true
    const { replyQueue } = this.#parts
    const goodbye = async () => {
      if (replyQueue !== undefined) await this.#channel.deleteQueue(replyQueue)
      await this.#model.close()
    }
    const deadline = setTimeout(() => {
      this.#socket.abort()
    }, closeDeadlineMs)
    await unlessAborted(goodbye(), this.#socket.signal).catch(() => undefined)
    clearTimeout(deadline)
    this.#socket.abort()
  }

  #lose(why: unknown): void {
    if (this.#isLost) return
    this.#isLost = true
    const trouble = troubleOf(this.#socket.signal.aborted ? this.#socket.signal.reason : why, this.#parts)
    this.#socket.abort(trouble)
    this.#parts.lost(trouble)
  }
}

const replyQueueOptions = (kind: NeutronSettings['replyQueue']): Options.AssertQueue => ({
  durable: kind === 'quorum',
  exclusive: false,
  autoDelete: false,
  // Half an hour after we are gone, as oslo.messaging has it.
  arguments: { 'x-expires': 1_800_000, ...(kind === 'quorum' ? { 'x-queue-type': 'quorum' } : {}) },
})

function addressOf({ broker, settings, password }: ConnectionParts): Options.Connect {
  return {
    protocol: broker.isTls ? 'amqps' : 'amqp',
    hostname: broker.host,
    port: broker.port,
    // amqplib takes it for a part of an address.
    vhost: encodeURIComponent(settings.virtualHost),
    username: settings.user,
    password: password.revealText().replace(/\n$/, ''),
    heartbeat: heartbeatSeconds,
    frameMax: maxFrameBytes,
    maxFrameSize: maxFrameBytes,
  }
}

/** What amqplib does not show of a channel. */
interface Inside {
  accept: (frame: Frame) => void
  /** Number of the first message that is not confirmed, and all from there on. */
  readonly lwm: number
  readonly unconfirmed: readonly unknown[]
}

interface Frame {
  /** Of the header of a message. */
  readonly size?: number
  /** Those of a confirmation have both. */
  readonly fields?: { readonly deliveryTag?: number; readonly multiple?: boolean }
}

/**
 * amqplib bounds frames. It gathers as many as a message claims to have, and for a confirmation it walks up to whatever number that names:
 * its way in is narrowed.
 */
function boundMessages(channel: ConfirmChannel, socket: AbortController): void {
  const inside = channel as unknown as Inside
  const accept = inside.accept.bind(channel)
  const lose = (text: string) => {
    socket.abort(new Trouble('unreachable', text))
  }
  inside.accept = (frame) => {
    const { size = 0, fields } = frame
    if (size > maxMessageBytes) lose(`says more than ${String(maxMessageBytes)} bytes in one message`)
    else if (fields?.multiple !== undefined && (fields.deliveryTag ?? 0) >= inside.lwm + inside.unconfirmed.length)
      lose('confirms what was not sent')
    else accept(frame)
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = () => {
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', aborted)
  if (signal.aborted) aborted()
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}
