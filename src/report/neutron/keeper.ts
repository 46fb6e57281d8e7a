import { setTimeout as wait } from 'node:timers/promises'
import { sentenceOf } from '../../base/error.ts'
import type { NeutronSettings, SinkTools } from '../settings.ts'
import type { SinkTrouble } from '../sink.ts'
import { TlsFiles } from '../tls.ts'
import type { Broker } from './broker.ts'
import { Connection } from './connection.ts'
import { excerpt } from './message.ts'
import { Trouble } from './trouble.ts'

export interface KeeperParts {
  readonly settings: NeutronSettings
  readonly tools: SinkTools
  readonly brokers: readonly Broker[]
  readonly replyQueue: string | undefined
  readonly heard: (reply: Buffer) => void
  /** Called whenever it changes; undefined: the broker takes messages. */
  readonly onTrouble: (trouble: SinkTrouble | undefined) => void
}

const firstPauseMs = 500
const maxPauseMs = 30_000
/** A connection that lives shorter is as good as one that failed. */
const soundAfterMs = 10_000

/** Has a connection to one of the brokers, in turn, for as long as it takes. */
export class Keeper {
  readonly #parts: KeeperParts
  readonly #tlsFiles: TlsFiles
  readonly #ending = new AbortController()
  readonly #running: Promise<void>
  #connection: Connection | undefined
  #failures = 0

  constructor(parts: KeeperParts) {
    this.#parts = parts
    this.#tlsFiles = new TlsFiles(parts.settings, parts.tools)
    this.#running = this.#run()
  }

  get connection(): Connection | undefined {
    return this.#connection
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    const { brokers, onTrouble } = this.#parts
    for (let at = 0; !signal.aborted; at = (at + 1) % brokers.length) {
      const broker = brokers[at]
      if (broker === undefined) return
      const trouble = await this.#use(broker)
      if (this.#isEnding) return
      onTrouble({ kind: trouble.kind, text: `Broker ${broker.name} ${trouble.message}` })
      this.#failures += 1
      await wait(pauseMs(Math.floor(this.#failures / brokers.length)), undefined, { signal }).catch(() => undefined)
    }
  }

  /** Resolves with why it is of no use any more. */
  async #use(broker: Broker): Promise<Trouble> {
    const { settings, tools, replyQueue, heard, onTrouble } = this.#parts
    const { signal } = this.#ending
    const { promise: lost, resolve: lose } = Promise.withResolvers<Trouble>()
    let connection: Connection
    try {
      // Both are read anew, so that what was renewed is taken up.
      const files = broker.isTls ? this.#tlsFiles.read() : undefined
      const [password, tls] = await withDeadline(Promise.all([tools.readSecret(settings.password), files]), signal)
      const blocked = (reason: string | undefined) => {
        if (this.#connection === undefined) return
        onTrouble(reason === undefined ? undefined : { kind: 'unreachable', text: blockedText(broker, reason) })
      }
      const parts = { broker, settings, password, tls, replyQueue, heard, blocked, lost: lose }
      connection = await Connection.open(parts, signal)
    } catch (error) {
      return error instanceof Trouble ? error : new Trouble('unreachable', `is not tried: ${sentenceOf(error)}`)
    }
    return this.#hold(connection, lost)
  }

  async #hold(connection: Connection, lost: Promise<Trouble>): Promise<Trouble> {
    const { signal } = this.#ending
    const sinceMs = performance.now()
    this.#connection = connection
    this.#parts.onTrouble(undefined)
    const ended = Promise.withResolvers<Trouble>()
    const end = () => {
      ended.resolve(new Trouble('unreachable', 'is left'))
    }
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    const trouble = await Promise.race([lost, ended.promise])
    signal.removeEventListener('abort', end)
    this.#connection = undefined
    await connection.close()
    // The next one is tried at once, or nearly so: many agents lose a broker at one moment.
    if (performance.now() - sinceMs > soundAfterMs) this.#failures = -1
    return trouble
  }
}

const blockedText = (broker: Broker, reason: string): string =>
  `Broker ${broker.name} takes no messages until it has room again: ${excerpt(reason)}`

/** After each round over all brokers longer; between half of it and all of it. */
const pauseMs = (rounds: number): number =>
  Math.min(maxPauseMs, rounds === 0 ? firstPauseMs / 5 : firstPauseMs * 2 ** Math.min(rounds, 10)) *
  (0.5 + Math.random() / 2)

const readDeadlineMs = 10_000

/** A source of secrets may be a command or a Vault that hangs. */
async function withDeadline<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const done = new AbortController()
  const late = async (): Promise<never> => {
    await wait(readDeadlineMs, undefined, { signal: AbortSignal.any([signal, done.signal]) }).catch(() => undefined)
    throw new Error('its password or certificates cannot be read in time')
  }
  try {
    return await Promise.race([work, late()])
  } finally {
    done.abort()
  }
}
