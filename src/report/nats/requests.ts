import {
  createInbox,
  errors,
  PermissionViolationError,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
} from '@nats-io/nats-core/internal'

interface Pending {
  readonly subject: string
  readonly untilMs: number
  readonly resolve: (answer: Msg) => void
  readonly reject: (error: Error) => void
}

/** How exactly a deadline is kept. */
const sweepEveryMs = 250

/**
 * Requests over one connection, of which each has an answer or fails within its deadline. The library's own makes a timer and two errors for
 * each, which costs as much as all the rest of a publish.
 */
export class Requests {
  readonly #connection: NatsConnection
  readonly #deadlineMs: number
  readonly #inbox: string
  readonly #pending = new Map<string, Pending>()
  readonly #sweeping: NodeJS.Timeout
  #count = 0

  constructor(connection: NatsConnection, inbox: string, deadlineMs: number) {
    this.#connection = connection
    this.#deadlineMs = deadlineMs
    this.#inbox = `${createInbox(inbox)}.`
    connection.subscribe(`${this.#inbox}*`, {
      callback: (error, answer) => {
        if (error === null) this.#answered(answer)
      },
    })
    this.#sweeping = setInterval(() => {
      this.#sweep(performance.now(), () => new errors.TimeoutError())
    }, sweepEveryMs)
    void connection.closed().then(() => {
      clearInterval(this.#sweeping)
      this.#sweep(Infinity, () => new errors.ClosedConnectionError())
    })
    void this.#hearRefusals()
  }

  /** Rejects when nobody listens there, when the server forbids it, and when there is no answer in time. Throws what publishing throws. */
  ask(subject: string, data: Uint8Array, headers?: MsgHdrs): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const token = (this.#count += 1).toString(36)
      this.#connection.publish(subject, data, {
        reply: this.#inbox + token,
        ...(headers === undefined ? {} : { headers }),
      })
      this.#pending.set(token, { subject, untilMs: performance.now() + this.#deadlineMs, resolve, reject })
    })
  }

  #answered(answer: Msg): void {
    const token = answer.subject.slice(this.#inbox.length)
    const asked = this.#pending.get(token)
    if (asked === undefined) return
    this.#pending.delete(token)
    if (answer.data.length === 0 && answer.headers?.code === 503)
      asked.reject(new errors.NoRespondersError(asked.subject))
    else asked.resolve(answer)
  }

  #sweep(nowMs: number, why: () => Error): void {
    // In the order of their deadlines, as all have the same time.
    for (const [token, { untilMs, reject }] of this.#pending) {
      if (untilMs > nowMs) return
      this.#pending.delete(token)
      reject(why())
    }
  }

  /** The server names the subject that it forbids, and not the message. */
  async #hearRefusals(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type !== 'error' || !(status.error instanceof PermissionViolationError)) continue
      const { operation, subject } = status.error
      for (const [token, asked] of this.#pending) {
        if (operation === 'publish' && asked.subject !== subject) continue
        this.#pending.delete(token)
        asked.reject(status.error)
      }
    }
  }
}
