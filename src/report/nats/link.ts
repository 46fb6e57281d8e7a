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

  /** Resolves once it is stored. A message whose id the stream has seen is dropped, and is as good as stored. */
  async publish(subject: string, data: Uint8Array, id: string): Promise<void> {
    await this.#store(subject, data, { 'Nats-Msg-Id': id })
  }

  async put(subject: string, data: Uint8Array): Promise<void> {
    await this.#store(subject, data, {})
  }

  /** Only upon that revision, 0: upon none. Resolves with the new one. */
  replace(subject: string, data: Uint8Array, revision: number): Promise<number> {
    return this.#store(subject, data, { [lastRevision]: String(revision) })
  }

  /** As the key's removal is written down; what was there before goes, as a bucket keeps one message a key. */
  async remove(subject: string, revision: number): Promise<void> {
    await this.#store(subject, new Uint8Array(), { 'KV-Operation': 'DEL', [lastRevision]: String(revision) })
  }

  /** The last message of a subject; a replica may answer that is a little behind. */
  async last(stream: string, subject: string): Promise<Last | undefined> {
    const asked = `$JS.API.DIRECT.GET.${stream}.${subject}`
    const { headers: found, data } = await this.#requests.ask(asked, new Uint8Array())
    if (found === undefined || found.code === 404) return undefined
    if (found.code !== 0) throw new errors.RequestError(`${String(found.code)} ${found.description}`)
    return { revision: Number(found.get('Nats-Sequence')), data: found.get('KV-Operation') === '' ? data : undefined }
  }

  /** Resolves with the sequence in the stream. */
  async #store(subject: string, data: Uint8Array, said: Readonly<Record<string, string>>): Promise<number> {
    const answer = await this.#requests.ask(subject, data, headersOf(said))
    const { error, seq } = JSON.parse(Buffer.from(answer.data).toString('utf8')) as {
      readonly error?: ConstructorParameters<typeof JetStreamApiError>[0]
      readonly seq?: unknown
    }
    if (error !== undefined) throw new JetStreamApiError(error)
    if (typeof seq !== 'number') throw new errors.RequestError('the answer is none of JetStream')
    return seq
  }
}

const lastRevision = 'Nats-Expected-Last-Subject-Sequence'

function headersOf(said: Readonly<Record<string, string>>): MsgHdrs {
  const all = headers()
  for (const [name, value] of Object.entries(said)) all.set(name, value)
  return all
}
