import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { AnchorPoint } from '../anchor/anchor.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { lineCutter } from '../base/lines.ts'
import { connectForDescriptors, sendDescriptor } from '../linux/descriptor.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { Secret } from '../base/secret.ts'
import type { HostAnswers, HostOperation, RootEvent, RootHalf, Table } from './operation.ts'
import type { HostRefusal } from './refusal.ts'
import { errorOf, maxReplyBytes, maxUnderWay, readReply, type Ask, type Reply, type Request } from './wire.ts'

export interface LinkOptions {
  /** Of the root half's socket. */
  readonly path: string
  /** Whose process must listen there: 0. */
  readonly ownerUid: number
  readonly emit: (event: RootEvent) => void
  /** Of the names of routers in logs; undefined: they are called what they are. */
  readonly pseudonymKey: Secret | undefined
  /** The other half did not do something, of this connection or an earlier one. */
  readonly onRefused: (refusal: HostRefusal) => void
  /** The link is broken, and why; undefined: it is whole again. */
  readonly onTrouble: (text: string | undefined) => void
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: KeepwardError) => void
  readonly timer: NodeJS.Timeout
}

type Held = Omit<Waiting, 'timer'> & { readonly ask: Ask }

/** A socket for the kernel watch, and an end of the pair for connections. */
const sentAtConnect = 2
const connectDeadlineMs = 5000
const startDeadlineMs = 10_000
/** Longer than any operation has by itself. */
const askDeadlineMs = 90_000
/** A look at each of some thousand routers is asked for at once when an agent starts. */
const maxHeld = 16_384
const minRetryMs = 50
const maxRetryMs = 2000

/**
 * The root half in a process of its own, at the other end of a socket. When it goes away, what waits fails with `host-unreachable`; once it
 * is back, it is told again which routers are wanted, then asked on.
 */
export class HostLink implements RootHalf {
  readonly #options: LinkOptions
  readonly #waiting = new Map<number, Waiting>()
  /** Not sent yet: too many are under way, or the other half does not know yet which routers are wanted. */
  #held: Held[] = []
  #ready = false
  #socket: Socket | undefined
  /** An end of the pair over which connections are handed to the other half. */
  #handover: number | undefined
  #lastId = 0
  /** What it was last told. */
  #configured: ConfigureAsk | undefined
  #retryMs = minRetryMs
  #retryTimer: NodeJS.Timeout | undefined
  #closed = false

  private constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Connect, and give the link with a socket for the kernel watch. Rejects as {@link connectForDescriptors}. */
  static async open(options: LinkOptions): Promise<{ readonly link: HostLink; readonly watchFd: number }> {
    const link = new HostLink(options)
    // Both halves are started together: it may need a moment longer.
    for (const untilMs = performance.now() + startDeadlineMs; ;) {
      try {
        const { watchFd } = await link.#connect()
        link.#giveKey()
        link.#ready = true
        return { link, watchFd }
      } catch (error) {
        const isAbsent = error instanceof KeepwardError && error.code === 'host-unreachable'
        if (!isAbsent || performance.now() > untilMs) throw error
        await pause(minRetryMs)
      }
    }
  }

  async configure(table: Table | 'nothing'): Promise<void> {
    const ask = table === 'nothing' ? ({ verb: 'configure-nothing' } as const) : configureAsk(table)
    await this.#ask(ask)
    this.#configured = ask
  }

  async stage({ hash }: Table): Promise<void> {
    await this.#ask({ verb: 'stage', hash })
  }

  async sign({ journal, start, seq, hash }: AnchorPoint): Promise<string | undefined> {
    return ((await this.#ask({ verb: 'anchor', journal, start, seq, hash })) as string | null) ?? undefined
  }

  async perform<O extends HostOperation>(operation: O): Promise<HostAnswers[O['verb']]> {
    // Both ends are this program's: the map of answers holds for what arrives.
    return (await this.#ask(operation)) as HostAnswers[O['verb']]
  }

  close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.#socket?.destroy()
    this.#closeHandover()
    this.#fail('the agent stops')
    return Promise.resolve()
  }

  /**
   * What the process at the other end of a Unix socket runs, as root sees it: the connection itself is handed over, and no pid. It
   * is, by the time that this returns. Rejects with `host-unreachable`.
   */
  async executableBehind(fd: number): Promise<Executable | undefined> {
    // One that is handed over without its question would be taken for the next one's.
    const cannotAsk = this.#socket === undefined || this.#held.length >= maxHeld
    if (this.#handover === undefined || cannotAsk) return undefined
    sendDescriptor(this.#handover, fd)
    return ((await this.#ask({ verb: 'peer-executable' })) as Executable | null) ?? undefined
  }

  #closeHandover(): void {
    if (this.#handover !== undefined) closeSync(this.#handover)
    this.#handover = undefined
  }

  /** Before all else; a link that breaks over it is made again, and gives it again. */
  #giveKey(): void {
    const key = this.#options.pseudonymKey?.revealBytes().toString('hex')
    if (key !== undefined) this.#askFirst({ verb: 'use-pseudonym-key', key }).catch(() => undefined)
  }

  async #connect(): Promise<{ readonly socket: Socket; readonly watchFd: number }> {
    const { path, ownerUid } = this.#options
    const { socket, fds } = await connectForDescriptors(path, ownerUid, sentAtConnect, connectDeadlineMs)
    const [watchFd = -1, handover = -1] = fds
    if (this.#closed) {
      socket.destroy()
      for (const fd of fds) closeSync(fd)
      throw unreachable('the agent stops')
    }
    this.#closeHandover()
    this.#handover = handover
    this.#listen(socket)
    return { socket, watchFd }
  }

  #listen(socket: Socket): void {
    this.#socket = socket
    this.#lastId = 0
    const cut = lineCutter(maxReplyBytes)
    let trouble: unknown
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      for (const line of cut(text) ?? ['']) {
        const reply = readReply(line)
        if (reply === undefined) socket.destroy(new Error('what it says is not understood'))
        else this.#hear(reply)
      }
    })
    socket.on('error', (error) => {
      trouble = error
    })
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      const why = trouble === undefined ? 'the root half has left' : describeError(trouble)
      this.#fail(why)
      if (!this.#closed) this.#retryLater(why)
    })
  }

  #hear(reply: Reply): void {
    if ('event' in reply) {
      this.#options.emit(reply.event)
      return
    }
    if ('refused' in reply) {
      this.#options.onRefused(reply.refused)
      return
    }
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    clearTimeout(waiting?.timer)
    if ('error' in reply) waiting?.reject(errorOf(reply.error))
    else waiting?.resolve(reply.answer)
    this.#sendHeld()
  }

  #ask(ask: Ask): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (this.#socket === undefined) reject(unreachable('it is not there'))
    else if (this.#held.length >= maxHeld) reject(unreachable(`${maxHeld} questions wait already`))
    else {
      this.#held.push({ ask, resolve, reject })
      this.#sendHeld()
    }
    return promise
  }

  #askFirst(ask: Ask): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#send({ ask, resolve, reject })
    return promise
  }

  #sendHeld(): void {
    while (this.#ready && this.#waiting.size < maxUnderWay) {
      const next = this.#held.shift()
      if (next === undefined) return
      this.#send(next)
    }
  }

  #send({ ask, resolve, reject }: Held): void {
    const id = ++this.#lastId
    const timer = setTimeout(() => {
      this.#waiting.delete(id)
      reject(unreachable(`it has not answered "${ask.verb}" within ${askDeadlineMs / 1000} s`))
      this.#sendHeld()
    }, askDeadlineMs)
    this.#waiting.set(id, { resolve, reject, timer })
    this.#socket?.write(`${JSON.stringify({ id, ...ask } satisfies Request)}\n`)
  }

  #fail(why: string): void {
    this.#ready = false
    const waiting = [...this.#waiting.values()]
    const held = this.#held
    this.#waiting.clear()
    this.#held = []
    for (const { timer } of waiting) clearTimeout(timer)
    for (const { reject } of [...waiting, ...held]) reject(unreachable(why))
  }

  #retryLater(why: string): void {
    this.#options.onTrouble(why)
    this.#retryTimer = setTimeout(() => {
      this.#reconnect().catch((error: unknown) => {
        if (!this.#closed) this.#retryLater(describeError(error))
      })
    }, this.#retryMs)
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2)
  }

  /** Rejects when there is no connection; what ends one later is told by its end. */
  async #reconnect(): Promise<void> {
    const { socket, watchFd } = await this.#connect()
    // The socket of the kernel watch stays as it is: the kernel knows nothing of who opened it.
    closeSync(watchFd)
    this.#giveKey()
    try {
      // Asked before that, it would know no router.
      if (this.#configured !== undefined) await this.#askFirst(asBefore(this.#configured))
    } catch (error) {
      socket.destroy(error instanceof Error ? error : undefined)
      return
    }
    if (this.#socket !== socket) return
    this.#retryMs = minRetryMs
    this.#ready = true
    this.#sendHeld()
    this.#options.onTrouble(undefined)
  }
}

type ConfigureAsk = Extract<Ask, { verb: 'configure' | 'configure-nothing' }>

const configureAsk = ({ hash, again }: Table) => ({ verb: 'configure', hash, again }) as const

const asBefore = (ask: ConfigureAsk): ConfigureAsk => (ask.verb === 'configure' ? { ...ask, again: true } : ask)

const unreachable = (why: string): KeepwardError =>
  new KeepwardError('host-unreachable', `The root half cannot be asked: ${why}`, {
    hint: 'is keepward-host running?',
  })
