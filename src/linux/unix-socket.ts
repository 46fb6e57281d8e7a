import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import type { SafeDir } from './safe-dir.ts'
import type { Access, Entry } from './safe-entry.ts'
import { unsafe } from './safe-error.ts'

/** Who connected: the process as it was at connect(2) (unix(7), SO_PEERCRED); the numbers are of our namespaces. */
export interface Peer {
  readonly pid: number
  readonly uid: number
  readonly gid: number
  /** Supplementary groups; empty when they were not asked for. */
  readonly groups: readonly number[]
}

const none: readonly number[] = []
const without = new Uint32Array(3)
const withGroups = new Uint32Array(3 + 4096)

/**
 * The peer of a connection, to be asked in its 'connection' event. Throws `permission-denied` whenever the kernel does
 * not say for certain: no answer is no permission. Groups cost as much again; who decides nothing by them leaves them out.
 */
export function peerOf(socket: Socket, groups: 'with-groups' | 'without-groups'): Peer {
  const fd = descriptorOf(socket)
  if (fd === undefined)
    throw new KeepwardError('permission-denied', 'A connection has no descriptor to ask for its peer')
  try {
    const into = groups === 'with-groups' ? withGroups : without
    const count = native().peerCredentials(fd, into)
    const [pid = 0, uid = 0, gid = 0] = into
    const peer = { pid, uid, gid, groups: count === 3 ? none : [...into.subarray(3, count)] }
    sockets.set(peer, socket)
    return peer
  } catch (cause) {
    throw new KeepwardError('permission-denied', 'The kernel does not say who a connection is from', { cause })
  }
}

/** The connection that a peer was asked of. */
export const socketOf = (peer: Peer): Socket | undefined => sockets.get(peer)

const sockets = new WeakMap<Peer, Socket>()

/** Whether the other end has sent something that nobody has read yet; false once the connection is closed. */
export function hasUnread(socket: Socket): boolean {
  const fd = descriptorOf(socket)
  return fd !== undefined && native().unreadBytes(fd) > 0
}

/**
 * Connects to ourselves and compares: the descriptor of a socket is found by an undocumented property of Node.js, so it
 * is proven before it is relied upon. Throws `permission-denied`.
 */
export async function proveWhoConnects(): Promise<void> {
  const path = `\0keepward-${process.pid}-${randomBytes(8).toString('hex')}`
  const server = createServer()
  try {
    server.listen({ path })
    await once(server, 'listening')
  } catch (cause) {
    throw new KeepwardError(codeOf(cause, 'file-failed'), 'Cannot make a socket to prove who connects', { cause })
  }
  const client = connect(path)
  try {
    const [accepted] = (await once(server, 'connection')) as [Socket]
    const peer = peerOf(accepted, 'with-groups')
    accepted.destroy()
    if (peer.pid === process.pid && peer.uid === process.geteuid?.() && peer.gid === process.getegid?.()) return
    throw new KeepwardError('permission-denied', `The kernel says that we are pid ${peer.pid}, uid ${peer.uid}`)
  } finally {
    client.destroy()
    server.close()
  }
}

export interface SocketOptions extends Access {
  readonly backlog?: number
}

/**
 * Listens on a socket in a directory, in the place of a stale one, until the server is closed. From its first moment the
 * socket has no more than the permissions `mode`. Returns what it is then, looked at after all was set. Throws
 * `state-in-use` when somebody answers there, `file-unsafe` when it is not ours to replace.
 */
export async function listenAt(server: Server, dir: SafeDir, name: string, options: SocketOptions): Promise<Stats> {
  const path = dir.pathOf(name)
  // sun_path holds 107 bytes and a NUL (unix(7)): nobody could connect to a longer one.
  if (Buffer.byteLength(path) > 107)
    throw new KeepwardError('file-failed', `${path} is longer than a socket's path may be (107 bytes)`)
  await removeStaleSocket(dir, name, options.uid)
  await bind(server, dir, name, options)
  try {
    using socket = dir.find(name, 'socket')
    if (socket === undefined) throw unsafe(`${path} was removed as soon as it was made`)
    return options.uid === undefined && options.gid === undefined ? socket.demandAccess(options) : socket.give(options)
  } catch (error) {
    server.close()
    throw error
  }
}

/**
 * By the directory's descriptor, wherever its path leads meanwhile. Closing the server unlinks the socket by the same path
 * (uv_pipe_t), so the descriptor must not become another directory's before that.
 */
async function bind(
  server: Server,
  dir: SafeDir,
  name: string,
  { mode, uid, gid, backlog }: SocketOptions,
): Promise<void> {
  const release = dir.hold()
  try {
    // A socket is born with what the umask leaves of 0777 (unix(7)); one of others waits for them.
    const umask = process.umask(0o777 & ~(uid === undefined && gid === undefined ? mode : 0o600))
    try {
      // Binds before it returns, so the umask is ours alone.
      server.listen({ path: dir.via(name), backlog })
    } finally {
      process.umask(umask)
    }
    await once(server, 'listening')
    server.once('close', release)
  } catch (cause) {
    release()
    throw new KeepwardError(codeOf(cause, 'file-failed'), `Cannot listen at ${dir.pathOf(name)}`, { cause })
  }
}

/** Removes a socket of ours that nobody answers at. Absent is fine. */
export async function removeStaleSocket(dir: SafeDir, name: string, uid?: number): Promise<void> {
  using socket = dir.find(name, 'socket', uid)
  if (socket === undefined) return
  if (await (uid === undefined ? answers(socket) : answersUs(socket))) throw inUse(dir.pathOf(name))
  // The one that was asked is held, so that no other can have its inode number: who took the name meanwhile has just begun.
  const now = dir.look(name)
  if (now !== undefined && now.ino !== socket.stats.ino) throw inUse(dir.pathOf(name))
  dir.drop(name)
}

const inUse = (path: string): KeepwardError =>
  new KeepwardError('state-in-use', `Another process listens at ${path}`, {
    hint: 'stop the other agent, or give this one directories of its own',
  })

/** Root that is not above permissions (CAP_DAC_OVERRIDE) could not ask at another's; who answers there keeps it. */
async function answersUs(socket: Entry): Promise<boolean> {
  const { uid, gid, mode } = socket.stats
  socket.give({ mode: 0o600, uid: process.geteuid?.() ?? 0 })
  const answered = await answers(socket)
  if (answered) socket.give({ mode: mode & 0o7777, uid, gid })
  return answered
}

/** Connecting to a Unix socket is decided at once: no deadline is needed, save for a full backlog, which is an answer. */
async function answers({ path }: Entry): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    return errnoOf(error) !== 'ECONNREFUSED' && errnoOf(error) !== 'ENOENT'
  } finally {
    socket.destroy()
  }
}

export function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
