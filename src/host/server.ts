import { createServer, type Server, type Socket } from 'node:net'
import { closeSync } from 'node:fs'
import type { AnchorPoint } from '../anchor/anchor.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { lineCutter } from '../base/lines.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { sendDescriptor } from '../linux/descriptor.ts'
import { listenAt, peerOf, type Peer } from '../linux/unix-socket.ts'
import { openWatchSocket } from '../linux/watch.ts'
import type { RootEvent, RootHalf, Table } from './operation.ts'
import { maxRequestBytes, maxUnderWay, readRequest, replyError, type Reply, type Request } from './wire.ts'

export const hostSocketName = 'keepward-host.socket'

export interface HostServerParts {
  /** Where only root may write. */
  readonly dir: SafeDir
  /** The one user that may ask, beside root. */
  readonly agentUid: number
  readonly openRoot: (emit: (event: RootEvent) => void) => RootHalf
  /** The routers of the config of this hash. Throws `config-changed`, or what reading it throws. */
  readonly tableOf: (hash: string, isApplied: boolean) => Promise<Table>
  /** Root's word that the journal came that far. Throws `anchor-refused`, among others. */
  readonly sign: (point: AnchorPoint) => Promise<void>
  /** Something was refused: who, and why. */
  readonly onRefused: (peer: Peer | undefined, why: string) => void
}

/** Serves the root half to one agent. Returns how to stop. Throws `state-in-use` or `file-unsafe`. */
export async function serveHost(parts: HostServerParts): Promise<() => Promise<void>> {
  const served = new HostServer(parts)
  const server = createServer((socket) => {
    served.welcome(socket)
  })
  await listenAt(server, parts.dir, hostSocketName, { mode: 0o600, uid: parts.agentUid })
  return () => served.close(server)
}

class HostServer {
  readonly #parts: HostServerParts
  readonly #root: RootHalf
  /** Whoever connected last: an agent that was started anew does not wait for what is left of the one before. */
  #agent: Session | undefined
  /** For an agent that comes later. */
  #vault: RootEvent | undefined

  constructor(parts: HostServerParts) {
    this.#parts = parts
    this.#root = parts.openRoot((event) => {
      if (event.type === 'vault') this.#vault = event
      this.#agent?.send({ event })
    })
  }

  welcome(socket: Socket): void {
    const { agentUid, onRefused } = this.#parts
    let peer: Peer | undefined
    try {
      peer = peerOf(socket, 'without-groups')
      if (peer.uid !== agentUid && peer.uid !== 0) throw new KeepwardError('permission-denied', 'it is another user')
      giveWatch(socket)
    } catch (error) {
      onRefused(peer, describeError(error))
      socket.destroy()
      return
    }
    const from = peer
    this.#agent?.end()
    this.#agent = new Session(
      socket,
      (request) => this.#answer(request),
      (why) => {
        onRefused(from, why)
      },
    )
    if (this.#vault !== undefined) this.#agent.send({ event: this.#vault })
  }

  async close(server: Server): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    this.#agent?.end()
    await closed
    await this.#root.close()
  }

  async #answer(request: Request): Promise<unknown> {
    const { tableOf, sign } = this.#parts
    if (request.verb === 'configure') return this.#root.configure(await tableOf(request.hash, true))
    if (request.verb === 'configure-nothing') return this.#root.configure('nothing')
    if (request.verb === 'anchor') return sign(request)
    if (request.verb === 'stage') return this.#root.stage(await tableOf(request.hash, false))
    return this.#root.perform(request)
  }
}

/** One connection of an agent: requests come in, in rising order, and each is answered when it is done. */
class Session {
  readonly #socket: Socket
  readonly #refuse: (why: string) => void
  readonly #answer: (request: Request) => Promise<unknown>
  #lastId = 0
  #underWay = 0

  constructor(socket: Socket, answer: (request: Request) => Promise<unknown>, refuse: (why: string) => void) {
    this.#socket = socket
    this.#answer = answer
    this.#refuse = refuse
    const cut = lineCutter(maxRequestBytes)
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = cut(text)
      if (lines === undefined) this.#endFor(`a request is longer than ${maxRequestBytes} bytes`)
      for (const line of lines ?? []) this.#hear(line)
    })
    socket.on('error', () => undefined)
  }

  send(reply: Reply): void {
    if (!this.#socket.writable) return
    this.#socket.write(`${JSON.stringify(reply)}\n`)
    // An agent that reads nothing must not fill our memory; it will ask for everything anew.
    if (this.#socket.writableLength > maxUnreadBytes) this.#endFor('the agent does not read its answers')
  }

  end(): void {
    this.#socket.destroy()
  }

  #hear(line: string): void {
    if (this.#socket.destroyed) return
    const request = readRequest(line)
    if (request === undefined) this.#endFor('a request is not of a form that there is')
    else if (request.id <= this.#lastId) this.#endFor(`request ${request.id} comes after request ${this.#lastId}`)
    else if (this.#underWay >= maxUnderWay) this.#endFor(`more than ${maxUnderWay} requests wait for their answers`)
    else {
      this.#lastId = request.id
      void this.#serve(request)
    }
  }

  async #serve(request: Request): Promise<void> {
    const { id } = request
    this.#underWay += 1
    try {
      this.send({ id, answer: (await this.#answer(request)) ?? null })
    } catch (error) {
      this.send({ id, error: replyError(error) })
    } finally {
      this.#underWay -= 1
    }
  }

  #endFor(why: string): void {
    if (this.#socket.destroyed) return
    this.#refuse(why)
    this.#socket.destroy()
  }
}

const maxUnreadBytes = 32 * 1024 * 1024

/** Each agent gets a socket of its own: nothing of an earlier one's waits in it. */
function giveWatch(socket: Socket): void {
  const fd = openWatchSocket()
  try {
    sendDescriptor(socket, fd)
  } finally {
    closeSync(fd)
  }
}
