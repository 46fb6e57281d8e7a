import { jetstream, type JetStreamClient } from '@nats-io/jetstream'
import { errors, headers, type NatsConnection } from '@nats-io/nats-core/internal'

/** What one request may take. */
export const requestDeadlineMs = 4000

export interface Last {
  readonly revision: number
  /** Undefined: its key was removed. */
  readonly data: Uint8Array | undefined
}

/** One connection, and the few things that are asked over it. */
export class Link {
  readonly connection: NatsConnection
  readonly #js: JetStreamClient

  constructor(connection: NatsConnection) {
    this.connection = connection
    this.#js = jetstream(connection, { timeout: requestDeadlineMs })
  }

  /** Resolves with the sequence in the stream, once it is stored there. A message whose id the stream has seen is dropped, and is as good as stored. */
  async publish(subject: string, data: Uint8Array, id: string): Promise<void> {
    await this.#js.publish(subject, data, { msgID: id })
  }

  async put(subject: string, data: Uint8Array): Promise<void> {
    await this.#js.publish(subject, data)
  }

  /** Only upon that revision, 0: upon none. Resolves with the new one. */
  async replace(subject: string, data: Uint8Array, revision: number): Promise<number> {
    const { seq } = await this.#js.publish(subject, data, { expect: { lastSubjectSequence: revision } })
    return seq
  }

  /** As the key's removal is written down; what was there before goes, as a bucket keeps one message a key. */
  async remove(subject: string, revision: number): Promise<void> {
    const operation = headers()
    operation.set('KV-Operation', 'DEL')
    await this.#js.publish(subject, new Uint8Array(), {
      headers: operation,
      expect: { lastSubjectSequence: revision },
    })
  }

  /** The last message of a subject; a replica may answer that is a little behind. */
  async last(stream: string, subject: string): Promise<Last | undefined> {
    const answer = await this.connection.request(`$JS.API.DIRECT.GET.${stream}.${subject}`, undefined, {
      timeout: requestDeadlineMs,
    })
    const { headers: found } = answer
    if (found === undefined || found.code === 404) return undefined
    if (found.code !== 0) throw new errors.RequestError(`${String(found.code)} ${found.description}`)
    const revision = Number(found.get('Nats-Sequence'))
    return { revision, data: found.get('KV-Operation') === '' ? answer.data : undefined }
  }
}
