import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { escapeControls } from '../../base/controls.ts'
import { describeError, KeepwardError } from '../../base/error.ts'
import { eventId, eventOf } from '../event.ts'
import type { Report } from '../report.ts'
import type { NatsSettings, SinkTools } from '../settings.ts'
import type { Heartbeat, Sink, SinkState, SinkTrouble } from '../sink.ts'
import { pauseAfter } from '../pace.ts'
import { TlsFiles } from '../tls.ts'
import { connectNats, excerpt } from './connect.ts'
import { failureOf, isDoubtful } from './failure.ts'
import {
  agentBucket,
  eventStream,
  eventSubject,
  heartbeatSubject,
  inboxOf,
  stateBucket,
  statesOf,
  streamOfBucket,
} from './layout.ts'
import { Link } from './link.ts'
import { checkNats, infoForAgent, tooSmall } from './setup.ts'
import { isTold, States } from './state.ts'
import { weaknessOf } from './weakness.ts'

const width = 256
const firstPauseMs = 250
/** What was away is to be current within two seconds of its return, and a try that fails costs little. */
const maxPauseMs = 1000
/** What nobody tells an agent is seen after so long. */
const checkEveryMs = 30_000
/** A stream that is not ready is looked at again. */
const recheckMs = 1000
/** Characters of what a server says of its streams. */
const maxWrong = 1000

/** A sink that is connected in the background, for ever; it never throws at the start. */
export function openNatsSink(settings: NatsSettings, tools: SinkTools): Sink {
  return new NatsSink(settings, tools)
}

class NatsSink implements Sink {
  readonly width = width
  readonly #settings: NatsSettings
  readonly #tools: SinkTools
  readonly #tlsFiles: TlsFiles
  readonly #states: States
  readonly #ending = new AbortController()
  readonly #listeners = new Set<(state: SinkState) => void>()
  readonly #running: Promise<void>
  /** Aborted, it has the streams looked at without delay. */
  #doubt = new AbortController()
  #link: Link | undefined
  #state: SinkState = { trouble: { kind: 'unreachable', text: 'not connected yet' }, insecure: undefined }

  constructor(settings: NatsSettings, tools: SinkTools) {
    this.#settings = settings
    this.#tools = tools
    this.#tlsFiles = new TlsFiles(settings, tools)
    this.#states = new States(tools.agent)
    this.#running = this.#run()
  }

  onState(listener: (state: SinkState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.#state)
    return () => this.#listeners.delete(listener)
  }

  async send(report: Report, signal: AbortSignal): Promise<void> {
    const { record, isRepeat } = report
    const data = Buffer.from(JSON.stringify(eventOf(report)))
    await this.#asked(signal, async (link) => {
      await Promise.all([
        this.#publish(link, report, data),
        record.kind === 'transition' ? this.#states.put(link, record, data, isRepeat) : undefined,
      ])
    })
  }

  /** What is told once more is in the stream but for one that lost it: its id may be forgotten there, and it would stand there twice. */
  async #publish(link: Link, { router, record, isRepeat }: Report, data: Uint8Array): Promise<void> {
    const { agent } = this.#tools
    if (isRepeat && (await isTold(link, agent, record))) return
    const [subject, id] = [eventSubject(agent, router), eventId(record)]
    if ((await link.publish(eventStream, subject, data, id)) === 'stored') return
    // An id counts on all subjects: who knows it could have used it before us.
    if (await isTold(link, agent, record)) return
    await link.publish(eventStream, subject, data, `${id}:${randomUUID()}`)
  }

  async keepOnly(routers: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    await this.#asked(signal, async (link) => {
      await this.#states.keepOnly(link, routers, this.#keys(link))
    })
  }

  /** Of this agent in the bucket of states. */
  async #keys(link: Link): Promise<readonly string[]> {
    const subjects = `${statesOf(this.#tools.agent)}.*`
    const info = await infoForAgent(link.connection, streamOfBucket(stateBucket), subjects)
    return Object.keys(info?.state.subjects ?? {})
  }

  async beat(beat: Heartbeat, signal: AbortSignal): Promise<void> {
    const data = Buffer.from(JSON.stringify({ format: 1, ...beat }))
    await this.#asked(signal, (link) =>
      link.put(streamOfBucket(agentBucket), heartbeatSubject(this.#tools.agent), data),
    )
  }

  async close(): Promise<void> {
    this.#ending.abort()
    this.#listeners.clear()
    await this.#running
  }

  /** Gives up with the signal, although what was asked may still happen. Throws `report-refused` or `nats-failed`. */
  async #asked(signal: AbortSignal, ask: (link: Link) => Promise<void>): Promise<void> {
    const link = this.#link
    if (link === undefined) throw new KeepwardError('nats-failed', 'There is no connection to NATS')
    try {
      await orAborted(ask(link), signal)
    } catch (error) {
      // What the server takes may have been lowered meanwhile, which says nothing against a report.
      const small = tooSmall(link.connection)
      const failure = small === undefined ? failureOf(error) : new KeepwardError('nats-failed', small)
      if (!signal.aborted && isDoubtful(error, failure) && this.#link === link) this.#doubted(failure)
      throw failure
    }
  }

  /** Nothing more is sent until it is known what a request without an answer meant. */
  #doubted({ message }: KeepwardError): void {
    this.#say({ kind: 'unreachable', text: message })
    this.#doubt.abort()
  }

  async #run(): Promise<void> {
    const { servers } = this.#settings
    const { signal } = this.#ending
    let at = Math.floor(Math.random() * servers.length)
    let failures = 0
    while (!signal.aborted) {
      try {
        this.#say(await this.#live(servers[at++ % servers.length] ?? '', () => (failures = 0)))
      } catch (error) {
        this.#say({ kind: 'unreachable', text: escapeControls(describeError(error)) })
      }
      // Each server is tried before anybody waits; agents that lost the same one do not all come at one moment.
      failures += 1
      await pause(
        failures % servers.length === 0
          ? pauseAfter(failures / servers.length, firstPauseMs, maxPauseMs)
          : Math.random() * 50,
        signal,
      )
    }
  }

  /** Until the connection ends; returns what that means. Throws why there is none. */
  async #live(server: string, connected: () => void): Promise<SinkTrouble> {
    const { signal } = this.#ending
    const connection = await this.#connect(server)
    const small = tooSmall(connection)
    if (small !== undefined) {
      // Only a new connection is told that it was raised.
      await connection.close()
      return { kind: 'not-ready', text: small }
    }
    connected()
    const ended = new AbortController()
    void connection.closed().then(() => {
      ended.abort()
    })
    const stop = () => void connection.close()
    signal.addEventListener('abort', stop)
    const isEncrypted = server.startsWith('tls:')
    this.#state = { ...this.#state, insecure: weaknessOf(connection.info?.version ?? '', isEncrypted) }
    this.#link = new Link(connection, inboxOf(this.#tools.agent))
    try {
      await this.#watch(this.#link, AbortSignal.any([signal, ended.signal]))
    } finally {
      this.#link = undefined
      signal.removeEventListener('abort', stop)
      await connection.close()
    }
    return { kind: 'unreachable', text: `The connection to ${server} has ended` }
  }

  async #connect(server: string) {
    const { name, plaintext, nkey } = this.#settings
    const { agent, readSecret } = this.#tools
    const reading = server.startsWith('tls:') ? this.#tlsFiles.read() : undefined
    const [tls, seed] = await Promise.all([reading, nkey && readSecret(nkey)])
    return connectNats(
      {
        ...{ server, plaintext, tls, inbox: inboxOf(agent), name: `keepward ${agent} ${name}` },
        identity: seed === undefined ? undefined : { kind: 'nkey', seed },
      },
      this.#ending.signal,
    )
  }

  /** Look at the streams: now, as long as they are not as they must be, when something is in doubt, and now and then. */
  async #watch({ connection }: Link, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && tooSmall(connection) === undefined) {
      this.#doubt = new AbortController()
      const trouble = await lookAt(connection)
      this.#say(trouble)
      const delayMs = trouble === undefined ? checkEveryMs : recheckMs * (0.5 + Math.random() / 2)
      await pause(delayMs, trouble === undefined ? AbortSignal.any([signal, this.#doubt.signal]) : signal)
      // A stream whose leader has just gone is still said to be there.
      if (this.#doubt.signal.aborted) await pause(firstPauseMs, signal)
    }
  }

  #say(trouble: SinkTrouble | undefined): void {
    this.#state = { ...this.#state, trouble }
    for (const listener of this.#listeners) listener(this.#state)
  }
}

async function lookAt(connection: Parameters<typeof checkNats>[0]): Promise<SinkTrouble | undefined> {
  try {
    const wrong = await checkNats(connection)
    if (wrong.length === 0) return undefined
    return { kind: 'not-ready', text: `${escapeControls(wrong.join('; ')).slice(0, maxWrong)}: keepward nats setup` }
  } catch (error) {
    return { kind: 'unreachable', text: `The streams cannot be looked at: ${excerpt(error)}` }
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => wait(ms, undefined, { signal }).catch(() => undefined)

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const giveUp = () => {
    aborted.reject(new KeepwardError('nats-failed', 'NATS has not answered in time'))
  }
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', giveUp)
    work.catch(() => undefined)
  }
}
