import { createServer, type Server, type Socket } from 'node:net'
import { close, closeSync } from 'node:fs'
import pLimit from 'p-limit'
import type { AnchorPoint } from '../anchor/anchor.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { Buckets } from '../base/bucket.ts'
import { lineCutter } from '../base/lines.ts'
import { Secret } from '../base/secret.ts'
import { Tallies } from '../base/tally.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { descriptorPair, nextDescriptor, sendDescriptor } from '../linux/descriptor.ts'
import { executableBehind, executableOfPeer, type Executable } from '../linux/peer-executable.ts'
import { listenAt, peerOf } from '../linux/unix-socket.ts'
import { openWatchSocket } from '../linux/watch.ts'
import type { AppliedConfig } from './applied-config.ts'
import type { RootEvent, RootHalf } from './operation.ts'
import { isRefused, type ConnectionRefusal, type HostRefusal } from './refusal.ts'
import { maxRequestBytes, maxUnderWay, readAttempt, readRequest, replyError, type Reply, type Request } from './wire.ts'

export const hostSocketName = 'keepward-host.socket'

export interface HostServerParts {
  /** Where only root may write. */
  readonly dir: SafeDir
  /** The one user that may ask, beside root. */
  readonly agentUid: number
  readonly openRoot: (emit: (event: RootEvent) => void) => RootHalf
  readonly applied: Pick<AppliedConfig, 'tableOf' | 'forget'>
  /** Root's word that the journal came that far. Answers why it cannot be copied to syslog. Throws `anchor-refused`, among others. */
  readonly sign: (point: AnchorPoint) => Promise<string | undefined>
  /** The agent’s, which this process cannot read for itself. */
  readonly onPseudonymKey: (key: Secret) => void
  /** Something was refused; many of a kind are told as one. */
  readonly onRefused: (refusal: HostRefusal) => void
}

/** Serves the root half to one agent. Returns how to stop. Throws `state-in-use` or `file-unsafe`. */
export async function serveHost(parts: HostServerParts): Promise<() => Promise<void>> {
  const served = new HostServer(parts)
  const server = createServer((socket) => {
    served.welcome(socket)
  })
  try {
    await listenAt(server, parts.dir, hostSocketName, { mode: 0o600, uid: parts.agentUid })
  } catch (error) {
    // What it holds already, such as the FIFO, would keep a process alive that nobody can ask.
    await served.abandon()
    throw error
  }
  return () => served.close(server)
}

class HostServer {
  readonly #parts: HostServerParts
  readonly #root: RootHalf
  /** Whoever connected last: an agent that was started anew does not wait for what is left of the one before. */
  #agent: Session | undefined
  /** For an agent that comes later. */
  #vault: RootEvent | undefined
  readonly #configuring = pLimit(1)
  readonly #refusals: Tallies<HostRefusal>
  readonly #looks = new Buckets<'all'>(looksAtExecutables, 1)
  /** Not told to any agent yet. */
  readonly #untold: HostRefusal[] = []

  constructor(parts: HostServerParts) {
    this.#parts = parts
    this.#refusals = new Tallies((refusal) => {
      parts.onRefused(refusal)
      this.#untold.push(refusal)
      if (this.#untold.length > maxUntold) this.#untold.shift()
      this.#tellRefusals()
    })
    this.#root = parts.openRoot((event) => {
      if (event.type === 'vault') this.#vault = event
      this.#agent?.send({ event })
    })
  }

  welcome(socket: Socket): void {
    const { agentUid } = this.#parts
    let from: Caller = { peer: undefined, executable: undefined }
    let handover: number
    try {
      const peer = peerOf(socket, 'without-groups')
      from = { peer: { uid: peer.uid, gid: peer.gid, pid: peer.pid }, executable: executableOfPeer(peer) }
      if (peer.uid !== agentUid && peer.uid !== 0) throw new KeepwardError('permission-denied', 'it is another user')
      giveWatch(socket)
      handover = giveHandover(socket)
    } catch (error) {
      this.#refuse(from, { ...nothingAsked, reason: 'peer-refused', text: describeError(error) })
      socket.destroy()
      return
    }
    const caller = from
    this.#agent?.end()
    const session: Session = new Session(socket, handover, {
      answer: (request) => this.#answer(request, session),
      refuse: (attempt) => {
        this.#refuse(caller, attempt)
      },
    })
    this.#agent = session
    if (this.#vault !== undefined) session.send({ event: this.#vault })
  }

  #refuse(from: Caller, attempt: Attempt): void {
    // Not by router: whoever makes names up must not make records by that.
    const kind = `${attempt.reason} ${attempt.verb ?? '-'} ${from.peer?.uid ?? 'nobody'}`
    this.#refusals.note(kind, { ...attempt, ...from, count: 1 })
  }

  #tellRefusals(): void {
    while (this.#agent?.isReady === true) {
      const refused = this.#untold.shift()
      if (refused === undefined) return
      this.#agent.send({ refused })
    }
  }

  /** Nobody will ever ask. */
  abandon(): Promise<void> {
    return this.#root.close()
  }

  async close(server: Server): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    this.#agent?.end()
    this.#refusals.close()
    await closed
    await this.#root.close()
  }

  async #answer(request: Request, session: Session): Promise<unknown> {
    const { applied, sign, onPseudonymKey } = this.#parts
    if (request.verb === 'configure' || request.verb === 'configure-nothing')
      return this.#configuring(() => this.#configure(request, session))
    if (request.verb === 'use-pseudonym-key') {
      onPseudonymKey(new Secret(Buffer.from(request.key, 'hex')))
      return
    }
    if (request.verb === 'peer-executable') return this.#lookBehind(session)
    if (request.verb === 'anchor') return sign(request)
    if (request.verb === 'stage') return this.#root.stage(await applied.tableOf(request.hash, false))
    return this.#root.perform(request)
  }

  /** One that waits its turn while another agent connects must not have the last word. */
  async #configure(request: ConfigureRequest, session: Session): Promise<void> {
    if (session !== this.#agent) throw new KeepwardError('host-unreachable', 'Another agent has connected meanwhile')
    const { applied } = this.#parts
    if (request.verb === 'configure')
      await this.#root.configure({ ...(await applied.tableOf(request.hash, true)), again: request.again })
    else {
      await applied.forget()
      await this.#root.configure('nothing')
    }
    session.isConfigured = true
    this.#tellRefusals()
  }

  #lookBehind({ handover }: Session): Executable | undefined {
    const connection = nextDescriptor(handover)
    if (connection === undefined) return undefined
    try {
      if (this.#looks.take('all', performance.now())) return executableBehind(connection)
      throw new KeepwardError('request-invalid', 'Executables are asked for too often')
    } finally {
      // In another thread: it may be no socket at all, and one of a file system that does not answer.
      close(connection, () => undefined)
    }
  }
}

type ConfigureRequest = Extract<Request, { verb: 'configure' | 'configure-nothing' }>

interface SessionParts {
  readonly answer: (request: Request) => Promise<unknown>
  readonly refuse: (attempt: Attempt) => void
}

/** One connection of an agent: requests come in, in rising order, and each is answered when it is done. */
class Session {
  /** The end of the pair over which it hands connections over. */
  readonly handover: number
  readonly #socket: Socket
  readonly #parts: SessionParts
  #lastId = 0
  #underWay = 0
  isConfigured = false

  constructor(socket: Socket, handover: number, parts: SessionParts) {
    this.handover = handover
    this.#socket = socket
    this.#parts = parts
    const cut = lineCutter(maxRequestBytes)
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = cut(text)
      if (lines === undefined) this.#endFor('request-too-long', `a request is longer than ${maxRequestBytes} bytes`)
      for (const line of lines ?? []) this.#hear(line)
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      closeSync(handover)
    })
  }

  /** It has said which routers are wanted, so that it can write down what it is told. */
  get isReady(): boolean {
    return this.isConfigured && this.#socket.writable
  }

  send(reply: Reply): void {
    if (!this.#socket.writable) return
    this.#socket.write(`${JSON.stringify(reply)}\n`)
    // An agent that reads nothing must not fill our memory; it will ask for everything anew.
    if (this.#socket.writableLength > maxUnreadBytes)
      this.#endFor('answers-unread', 'the agent does not read its answers')
  }

  end(): void {
    this.#socket.destroy()
  }

  #hear(line: string): void {
    if (this.#socket.destroyed) return
    const request = readRequest(line)
    if (request === undefined) this.#endFor('request-malformed', 'a request is not of a form that there is', line)
    else if (request.id <= this.#lastId)
      this.#endFor('request-repeated', `request ${request.id} comes after request ${this.#lastId}`, line)
    else if (this.#underWay >= maxUnderWay)
      this.#endFor('requests-too-many', `more than ${maxUnderWay} requests wait for their answers`, line)
    else {
      this.#lastId = request.id
      void this.#serve(request)
    }
  }

  async #serve(request: Request): Promise<void> {
    const { id, verb } = request
    this.#underWay += 1
    try {
      this.send({ id, answer: (await this.#parts.answer(request)) ?? null })
    } catch (error) {
      this.send({ id, error: replyError(error) })
      const router = 'router' in request ? request.router : undefined
      if (isRefused(verb, error)) this.#parts.refuse({ verb, router, reason: error.code, text: describeError(error) })
    } finally {
      this.#underWay -= 1
    }
  }

  #endFor(reason: ConnectionRefusal, text: string, line = ''): void {
    if (this.#socket.destroyed) return
    // First, so that this end is not the one who is told of it.
    this.#socket.destroy()
    this.#parts.refuse({ ...readAttempt(line), reason, text })
  }
}

type Caller = Pick<HostRefusal, 'peer' | 'executable'>
type Attempt = Omit<HostRefusal, keyof Caller | 'count'>

const nothingAsked = { verb: undefined, router: undefined } as const
const maxUnreadBytes = 32 * 1024 * 1024
/** More than an agent asks for. */
const looksAtExecutables = { perSecond: 50, burst: 200 }
/** As many as there are kinds of them in ten seconds. */
const maxUntold = 256

/** Each agent gets a socket of its own: nothing of an earlier one's waits in it. */
function giveWatch(socket: Socket): void {
  const fd = openWatchSocket()
  try {
    sendDescriptor(socket, fd)
  } finally {
    closeSync(fd)
  }
}

/** Bytes alone come over the connection itself, as Node.js reads it. Returns our end. */
function giveHandover(socket: Socket): number {
  const { ours, theirs } = descriptorPair()
  try {
    sendDescriptor(socket, theirs)
    return ours
  } catch (error) {
    closeSync(ours)
    throw error
  } finally {
    closeSync(theirs)
  }
}
