import { eventId } from '../event.ts'
import type { Report } from '../report.ts'
import type { NeutronSettings, SinkTools } from '../settings.ts'
import type { Sink, SinkState, SinkTrouble, Smoothing } from '../sink.ts'
import { parseBroker } from './broker.ts'
import { Calls, Failed, type Given } from './calls.ts'
import { Unconfirmed, Unroutable } from './connection.ts'
import { Keeper } from './keeper.ts'
import { encode, newId, newRequestId, type StateMessage } from './message.ts'
import { smoothing } from './smoothing.ts'
import { translate, type NeutronState } from './translate.ts'

/**
 * Tell a Neutron server of the roles of routers as its own L3 agent does, by `update_ha_routers_states` over RabbitMQ, and nothing else.
 * Connects by itself. Throws `request-invalid` for a broker that is none.
 */
export const openNeutronSink = (settings: NeutronSettings, tools: SinkTools): Sink => new NeutronSink(settings, tools)

/** Less than a report is given: what a broker still has must be gone before the report is sent again. */
const callTimeoutMs = 9000
/** What a broker has is gone before, and a server that took it late has had some time for it. */
const settlesMs = 15_000
const firstHoldMs = 1000
const maxHoldMs = 30_000

class NeutronSink implements Sink {
  readonly width = 64
  readonly settlesMs = settlesMs
  readonly smoothing: Smoothing
  readonly #settings: NeutronSettings
  readonly #host: string
  readonly #replyQueue = `reply_${newId()}`
  readonly #insecure: string | undefined
  readonly #keeper: Keeper
  readonly #calls = new Calls((given, id) => {
    this.#overtaken(given, id)
  })
  readonly #listeners = new Set<(state: SinkState) => void>()
  /** By router: what a broker may have or not. It is sent again under the same id, so that a server drops the second one. */
  readonly #unsure = new Map<string, { readonly key: string; readonly message: StateMessage }>()
  /** By router: what was confirmed last. */
  readonly #told = new Map<string, NeutronState>()
  /** Routers of which a message is under way; true: it is to be sent once more. */
  readonly #underWay = new Map<string, boolean>()
  /** Routers that are told once more by ourselves. */
  readonly #retelling = new Map<string, Promise<void>>()
  #trouble: SinkTrouble | undefined = { kind: 'unreachable', text: 'No broker was reached so far' }
  /** What a broker or a server lacks that are there. */
  #lack: { readonly text: string; readonly timer: NodeJS.Timeout; isTried: boolean } | undefined
  #lacks = 0

  constructor(settings: NeutronSettings, tools: SinkTools) {
    const brokers = settings.brokers.map((text) => parseBroker(text, settings.plaintext))
    const plain = brokers.filter(({ isTls }) => !isTls).map(({ name }) => name)
    this.#insecure =
      plain.length === 0
        ? undefined
        : `The way to ${plain.join(', ')} is not encrypted: who is on it reads the password and can tell Neutron anything`
    this.#settings = settings
    this.#host = settings.host ?? tools.agent
    this.smoothing = smoothing(settings.primaryDelayMs)
    this.#keeper = new Keeper({
      ...{ settings, tools, brokers },
      replyQueue: settings.method === 'call' ? this.#replyQueue : undefined,
      heard: (reply) => {
        this.#calls.heard(reply)
      },
      onTrouble: (trouble) => {
        this.#trouble = trouble
        this.#say()
      },
    })
  }

  onState(listener: (state: SinkState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }

  async send(report: Report, signal: AbortSignal): Promise<void> {
    const state = translate(report)
    if (state === undefined) return
    const key = `${eventId(report.record)} ${String(report.isRepeat)}`
    await this.#retelling.get(report.router)
    await this.#deliver(report.router, state, key, signal)
  }

  /** Neutron removes what it has of others by itself. */
  keepOnly(routers: ReadonlySet<string>): Promise<void> {
    for (const by of [this.#unsure, this.#told])
      for (const router of by.keys()) if (!routers.has(router)) by.delete(router)
    return Promise.resolve()
  }

  async close(): Promise<void> {
    clearTimeout(this.#lack?.timer)
    await this.#keeper.close()
    await Promise.all(this.#retelling.values())
  }

  async #deliver(router: string, state: NeutronState, key: string, signal: AbortSignal): Promise<void> {
    try {
      do {
        this.#underWay.set(router, false)
        await this.#tell(router, state, key, signal)
      } while (this.#underWay.get(router) === true)
      this.#told.set(router, state)
      this.#found()
    } catch (error) {
      this.#told.delete(router)
      if (error instanceof Unroutable) this.#miss(`${error.message}: does neutron-server run?`)
      // Any server of these ten years knows it; what answers so is another service, or is being replaced.
      if (error instanceof Failed && unable.includes(error.exception)) this.#miss(error.message)
      throw error
    } finally {
      this.#underWay.delete(router)
    }
  }

  async #tell(router: string, state: NeutronState, key: string, signal: AbortSignal): Promise<void> {
    const { connection } = this.#keeper
    if (connection === undefined) throw new Error('No broker is connected')
    const message = this.#messageOf(router, state, key)
    const notHad = new AbortController()
    const given = AbortSignal.any([signal, connection.gone, notHad.signal])
    const answered = message.call && this.#calls.answer(message.call.id, { router, state }, given)
    // It is looked at below, once the broker has it.
    answered?.catch(() => undefined)
    try {
      await unlessAborted(connection.publish(encode(message)), given)
      this.#unsure.delete(router)
    } catch (error) {
      if (error instanceof Unconfirmed) this.#unsure.set(router, { key, message })
      else this.#unsure.delete(router)
      notHad.abort()
      throw error
    }
    await answered
  }

  #messageOf(router: string, state: NeutronState, key: string): StateMessage {
    const unsure = this.#unsure.get(router)
    if (unsure?.key === key) return unsure.message
    const { method } = this.#settings
    return {
      ...{ host: this.#host, states: { [router]: state }, uniqueId: newId(), requestId: newRequestId() },
      atMs: Date.now(),
      call: method === 'call' ? { id: newId(), replyQueue: this.#replyQueue, timeoutMs: callTimeoutMs } : undefined,
    }
  }

  /** A server keeps no order: what it took long over may have undone what came later, which is told again. */
  #overtaken({ router, state }: Given, id: string): void {
    // The server would drop it without an answer.
    if (this.#unsure.get(router)?.message.call?.id === id) this.#unsure.delete(router)
    const told = this.#told.get(router)
    if (this.#underWay.has(router)) this.#underWay.set(router, true)
    else if (told !== undefined && told !== state) {
      const again = this.#deliver(router, told, '', AbortSignal.timeout(callTimeoutMs))
        .catch(() => undefined)
        .finally(() => this.#retelling.delete(router))
      this.#retelling.set(router, again)
    }
  }

  /** Nothing is sent for a while; then whoever comes first finds out whether it is there. */
  #miss(text: string): void {
    if (this.#lack?.isTried === false) return
    const pauseMs = Math.min(maxHoldMs, firstHoldMs * 2 ** Math.min(this.#lacks, 10))
    const timer = setTimeout(
      () => {
        lack.isTried = true
        this.#say()
      },
      pauseMs * (0.5 + Math.random() / 2),
    )
    this.#lacks += 1
    const lack = { text, timer, isTried: false }
    this.#lack = lack
    this.#say()
  }

  #found(): void {
    this.#lacks = 0
    if (this.#lack?.isTried !== true) return
    this.#lack = undefined
    this.#say()
  }

  get #state(): SinkState {
    const lack = this.#lack && ({ kind: 'not-ready', text: this.#lack.text } as const)
    const isTried = this.#trouble === undefined && this.#lack?.isTried === true
    return { trouble: this.#trouble ?? lack, ...(isTried ? { isTried } : {}), insecure: this.#insecure }
  }

  #say(): void {
    for (const listener of this.#listeners) listener(this.#state)
  }
}

const unable = ['UnsupportedVersion', 'NoSuchMethod']

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = () => {
    reject(new Unconfirmed('The broker has not confirmed the message in time'))
  }
  signal.addEventListener('abort', aborted)
  if (signal.aborted) aborted()
  try {
    await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}
