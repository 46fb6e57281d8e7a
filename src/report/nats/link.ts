import { JetStreamApiError } from '@nats-io/jetstream'
import { errors, headers, type MsgHdrs, type NatsConnection } from '@nats-io/nats-core/internal'
import { Requests } from './requests.ts'

/** What one request may take. */
export const requestDeadlineMs = 4000

export interface Last {
  readonly revision: number
  /** Undefined: its key was removed. */
  readonly data: Uint8Array | undefined
}

/** One connection, and the few things that are asked over it. All reject with what the server says, or that it says nothing. */
export class Link {
  readonly connection: NatsConnection
  readonly #requests: Requests

  /** `inbox`: under which answers come. */
  constructor(connection: NatsConnection, inbox: string) {
    this.connection = connection
    this.#requests = new Requests(connection, inbox, requestDeadlineMs)
  }

  /** Resolves once it is stored; with `duplicate` when the stream has dropped it, as it has seen a message of this id on whatever subject. */
  async publish(stream: string, subject: string, data: Uint8Array, id: string): Promise<'stored' | 'duplicate'> {
    return (await this.#store(stream, subject, data, { 'Nats-Msg-Id': id })).isDuplicate ? 'duplicate' : 'stored'
  }

  async put(stream: string, subject: string, data: Uint8Array): Promise<void> {
    await this.#store(stream, subject, data, {})
  }

  /** Only upon that revision, 0: upon none. Resolves with the new one. */
  async replace(stream: string, subject: string, data: Uint8Array, revision: number): Promise<number> {
    return (await this.#store(stream, subject, data, { [lastRevision]: String(revision) })).seq
  }

  /** As the key's removal is written down; what was there before goes, as a bucket keeps one message a key. */
  async remove(stream: string, subject: string, revision: number): Promise<void> {
    await this.#store(stream, subject, new Uint8Array(), { 'KV-Operation': 'DEL', [lastRevision]: String(revision) })
  }

  /** The last message of a subject; a replica may answer that is a little behind. */
  async last(stream: string, subject: string): Promise<Last | undefined> {
    const asked = `$JS.API.DIRECT.GET.${stream}.${subject}`
    const { headers: found, data } = await this.#requests.ask(asked, new Uint8Array())
    if (found === undefined || found.code === 404) return undefined
    if (found.code !== 0) throw new errors.RequestError(`${String(found.code)} ${found.description}`)
    return { revision: Number(found.get('Nats-Sequence')), data: found.get('KV-Operation') === '' ? data : undefined }
  }

  /** Any other answer than that this very stream has it is none: whoever listens there could give one. */
  async #store(
    stream: string,
    subject: string,
    data: Uint8Array,
    said: Readonly<Record<string, string>>,
  ): Promise<Stored> {
    const answer = await this.#requests.ask(subject, data, headersOf(said))
    const told = JSON.parse(Buffer.from(answer.data).toString('utf8')) as {
      readonly error?: ConstructorParameters<typeof JetStreamApiError>[0]
      readonly stream?: unknown
      readonly seq?: unknown
      readonly duplicate?: unknown
    }
    if (told.error !== undefined) throw new JetStreamApiError(told.error)
    const { seq } = told
    if (told.stream !== stream || typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1)
      throw new errors.RequestError(`the answer is none of the stream ${stream}`)
    return { seq, isDuplicate: told.duplicate === true }
  }
}

interface Stored {
  /** In the stream. */
  readonly seq: number
  readonly isDuplicate: boolean
}

const lastRevision = 'Nats-Expected-Last-Subject-Sequence'

function headersOf(said: Readonly<Record<string, string>>): MsgHdrs {
  const all = headers()
  for (const [name, value] of Object.entries(said)) all.set(name, value)
  return all
}
