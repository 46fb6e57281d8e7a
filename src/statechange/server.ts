import type { Stats } from 'node:fs'
import { describeError, KeepwardError } from '../base/error.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { readProc } from '../linux/proc.ts'
import { listenAt, proveWhoConnects } from '../linux/unix-socket.ts'
import { makeHttpServer, requestDeadlineMs, type HttpParts, type HttpServer } from './http.ts'

/** The name is Neutron's: its monitors look for it in the directory that `--state_path` says. */
export const socketName = 'keepalived-state-change'
const backlog = 4096
const watchMs = 400
const sweepMs = 30_000

/** Who may open the socket at all; what they may say is the policy's. */
export type Access =
  { readonly kind: 'own' } | { readonly kind: 'group'; readonly gid: number } | { readonly kind: 'everyone' }

export interface ServerParts extends HttpParts {
  readonly dir: SafeDir
  readonly access: Access
  /** The socket cannot be made now; undefined: it can again. */
  readonly onTrouble: (text: string | undefined) => void
}

/** The mode of the directory that others must pass through to reach the socket. */
export const directoryMode = (access: Access): number => (access.kind === 'own' ? 0o700 : 0o711)

/**
 * Listens for state changes until closed. Throws `permission-denied` when the kernel's word on who connects cannot be
 * trusted here, `state-in-use` or `file-unsafe` when the socket cannot be made.
 */
export async function serveStateChanges(parts: ServerParts): Promise<StateChangeServer> {
  proveUidMap(readProc('/proc/self/uid_map') ?? '')
  await proveWhoConnects()
  const server = new StateChangeServer(parts)
  await server.open()
  return server
}

/** In a user namespace that maps only some users, all others look like one: nobody's word would be safe. */
export function proveUidMap(text: string): void {
  if (/^\s*0\s+0\s+4294967295\s*$/.test(text)) return
  throw new KeepwardError('permission-denied', 'This user namespace does not map every user to itself', {
    hint: 'run the agent in the initial user namespace: elsewhere the kernel cannot say who sends',
  })
}

export class StateChangeServer {
  readonly #parts: ServerParts
  readonly #timers: readonly NodeJS.Timeout[]
  #http: HttpServer | undefined
  #identity = ''
  #opening: Promise<void> | undefined
  #closed = false

  constructor(parts: ServerParts) {
    this.#parts = parts
    this.#timers = [
      setInterval(() => {
        this.#watch()
      }, watchMs),
      setInterval(() => {
        parts.receiver.sweep()
      }, sweepMs),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  /** Messages that wait to be written down together. */
  get messagesWaiting(): number {
    return this.#parts.receiver.waiting
  }

  /** Connections of users that have as many as they may. */
  get connectionsWaiting(): number {
    return this.#http?.waiting() ?? 0
  }

  async open(): Promise<void> {
    const { dir, access } = this.#parts
    this.#retire()
    const http = makeHttpServer(this.#parts)
    this.#identity = identityOf(await listenAt(http.server, dir, socketName, { ...modeOf(access), backlog }))
    this.#http = http
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#opening
    const http = this.#http
    if (http === undefined) return
    const ended = new Promise((resolve) => http.server.close(resolve))
    http.endAll()
    await ended
    this.#parts.audit.close()
  }

  /**
   * Before its successor listens, as closing it removes whatever bears the socket's name. Requests on their way are answered;
   * it looks at no deadline any more.
   */
  #retire(): void {
    const http = this.#http
    this.#http = undefined
    if (http === undefined) return
    http.server.close()
    setTimeout(() => {
      http.endAll()
    }, requestDeadlineMs).unref()
  }

  /** Whatever stands in the socket's place in our own directory is not wanted there. */
  #watch(): void {
    this.#opening ??= this.#look().finally(() => {
      this.#opening = undefined
    })
  }

  async #look(): Promise<void> {
    try {
      const { dir, audit, onTrouble } = this.#parts
      const stats = dir.look(socketName)
      if (this.#closed || (stats !== undefined && identityOf(stats) === this.#identity)) return
      if (stats !== undefined) await dir.remove(socketName)
      await this.open()
      audit.note(`the socket was ${stats === undefined ? 'removed' : 'replaced or changed'}`)
      onTrouble(undefined)
    } catch (error) {
      this.#parts.onTrouble(describeError(error))
    }
  }
}

const identityOf = ({ dev, ino, mode, uid, gid }: Stats): string => [dev, ino, mode, uid, gid].join()

function modeOf(access: Access): { mode: number; gid?: number } {
  switch (access.kind) {
    case 'own':
      return { mode: 0o600 }
    case 'group':
      return { mode: 0o660, gid: access.gid }
    case 'everyone':
      return { mode: 0o666 }
  }
}
