import { Agent } from 'node:https'
import type { SecureContext } from 'node:tls'
import { describeError, KeepwardError } from '../../base/error.ts'
import type { Secret } from '../../base/secret.ts'
import { eventId } from '../event.ts'
import type { Report } from '../report.ts'
import type { SinkTools, WebhookSettings } from '../settings.ts'
import type { Sink, SinkState } from '../sink.ts'
import { TlsFiles } from '../tls.ts'
import { tooLate, type Failure, type Verdict } from './answer.ts'
import { cloudEvent, cloudEventType } from './cloud-event.ts'
import { wants } from './filter.ts'
import { Health } from './health.ts'
import { post, type Post } from './post.ts'
import { messageId, signedHeaders } from './signature.ts'

/** Milliseconds. */
export interface WebhookTimes {
  /** For one report: reading what it is signed with, connecting, sending, the answer. */
  readonly deadlineMs: number
  /** How old what was read of secret and certificates may be. */
  readonly rereadMs: number
  /** The first pause after trouble. */
  readonly pauseMs: number
}

const usualTimes: WebhookTimes = { deadlineMs: 10_000, rereadMs: 60_000, pauseMs: 1000 }
const width = 8
/** Shorter than most servers keep a connection open, so that few are closed by both sides at once. */
const idleMs = 4000

/** Tells reports to an HTTPS endpoint, one POST each (docs/webhook.md). Throws `config-invalid`. */
export function openWebhookSink(settings: WebhookSettings, tools: SinkTools, times: WebhookTimes = usualTimes): Sink {
  const url = URL.parse(settings.url)
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw new KeepwardError(
      'config-invalid',
      `The url of ${settings.name} must be https:// without a user and a password`,
    )
  return new WebhookSink(settings, tools, times, url)
}

interface Credentials {
  readonly connections: Connections
  readonly secret: Secret
}

/** Of one trust: what was agreed on with an endpoint under another one would let it in again. */
interface Connections {
  readonly secureContext: SecureContext
  readonly agent: Agent
}

class WebhookSink implements Sink {
  readonly #settings: WebhookSettings
  readonly #tools: SinkTools
  readonly #times: WebhookTimes
  readonly #url: URL
  readonly #health: Health
  readonly #tlsFiles: TlsFiles
  #connections: Connections | undefined
  readonly #ending = new AbortController()
  #credentials: Promise<Credentials> | undefined
  #readAtMs = 0

  constructor(settings: WebhookSettings, tools: SinkTools, times: WebhookTimes, url: URL) {
    this.#settings = settings
    this.#tools = tools
    this.#times = times
    this.#url = url
    this.#tlsFiles = new TlsFiles(settings, tools)
    this.#health = new Health(width, times.pauseMs)
  }

  readonly isConnectionless = true

  get width(): number {
    return this.#health.width
  }

  onState(listener: (state: SinkState) => void): () => void {
    return this.#health.onState(listener)
  }

  async send(report: Report, signal: AbortSignal): Promise<void> {
    if (!wants(this.#settings.filter, report)) return
    const timeout = AbortSignal.timeout(this.#times.deadlineMs)
    const verdict = await this.#tell(report, AbortSignal.any([this.#ending.signal, signal, timeout]))
    if (verdict === 'delivered') {
      this.#health.answered()
      return
    }
    // The path and the query of the url may be secret.
    const text = `${this.#url.origin} ${verdict.says}`
    if (verdict.kind === 'refused') {
      this.#health.answered()
      throw new KeepwardError('report-refused', text)
    }
    if (verdict.suspect === 'settings') this.#credentials = undefined
    const { hint } = verdict
    const error = new KeepwardError('sink-unavailable', text, hint === undefined ? {} : { hint })
    this.#health.failed(report.router, verdict, describeError(error))
    throw error
  }

  close(): Promise<void> {
    this.#ending.abort()
    this.#health.close()
    this.#connections?.agent.destroy()
    return Promise.resolve()
  }

  async #tell(report: Report, signal: AbortSignal): Promise<Verdict> {
    const { allowNetworks } = this.#settings
    try {
      const message = await within(this.#sign(report), signal).catch((error: unknown) => {
        signal.throwIfAborted()
        return unreadable(error)
      })
      if ('says' in message) return message
      const { agent, ...signed } = message
      return await post({ url: this.#url, ...signed, allowNetworks, signal }, agent)
    } catch (error) {
      if (!signal.aborted) throw error
      if (isTimeout(signal.reason)) return tooLate(this.#times.deadlineMs)
      // It says nothing of the endpoint.
      throw new KeepwardError('sink-unavailable', `${this.#url.origin} was given up`)
    }
  }

  async #sign(report: Report): Promise<Pick<Post, 'headers' | 'body'> & Connections> {
    const { connections, secret } = await this.#readCredentials()
    const body = JSON.stringify(cloudEvent(report))
    const nowS = Math.floor(Date.now() / 1000)
    const headers = {
      ...{ 'content-type': cloudEventType, 'user-agent': `keepward/${this.#tools.version}` },
      ...signedHeaders(messageId(eventId(report.record)), body, secret, nowS),
    }
    return { headers, body, ...connections }
  }

  /** Once for all that want it at that moment. */
  #readCredentials(): Promise<Credentials> {
    const nowMs = performance.now()
    if (this.#credentials !== undefined && nowMs - this.#readAtMs < this.#times.rereadMs) return this.#credentials
    const reading = this.#readNow()
    this.#credentials = reading
    this.#readAtMs = nowMs
    reading.catch(() => {
      if (this.#credentials === reading) this.#credentials = undefined
    })
    return reading
  }

  async #readNow(): Promise<Credentials> {
    const [secureContext, secret] = await Promise.all([
      this.#tlsFiles.read(),
      this.#tools.readSecret(this.#settings.secret),
    ])
    // What is under way over the others goes on; they end as they are idle.
    if (this.#connections?.secureContext !== secureContext) this.#connections = { secureContext, agent: newAgent() }
    return { connections: this.#connections, secret }
  }
}

const newAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: width, maxFreeSockets: width, timeout: idleMs })

const unreadable = (error: unknown): Failure => ({
  ...{ kind: 'not-ready', suspect: 'settings' },
  says: `cannot be told: ${describeError(error)}`,
})

const isTimeout = (reason: unknown): boolean => reason instanceof Error && reason.name === 'TimeoutError'

/** Rejects with the reason of `signal` when that comes first. */
async function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => {
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([promise, ended])
  } finally {
    signal.removeEventListener('abort', end)
  }
}
