import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import type { SafeDir } from './safe-dir.ts'

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
    return { pid, uid, gid, groups: count === 3 ? none : [...into.subarray(3, count)] }
  } catch (cause) {
    throw new KeepwardError('permission-denied', 'The kernel does not say who a connection is from', { cause })
  }
}

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
  server.listen({ path })
  await once(server, 'listening')
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

/**
 * Listens on a socket in a directory, in the place of a stale one. From its first moment the socket has no more than the
 * permissions `mode`. Throws `state-in-use` when somebody answers there, `file-unsafe` when it is not ours to replace.
 */
export async function listenAt(
  server: Server,
  dir: SafeDir,
  name: string,
  options: { readonly mode: number; readonly gid?: number; readonly backlog?: number },
): Promise<void> {
  const path = dir.pathOf(name)
  // sun_path holds 107 bytes and a NUL (unix(7)); Node.js would cut a longer one short without a word.
  if (Buffer.byteLength(path) > 107)
    throw new KeepwardError('file-failed', `${path} is longer than a socket's path may be (107 bytes)`)
  await removeStaleSocket(path)
  const umask = process.umask(0o177)
  try {
    // Binds before it returns, so the umask is ours alone.
    server.listen({ path, backlog: options.backlog })
  } finally {
    process.umask(umask)
  }
  try {
    await once(server, 'listening')
    if (options.gid !== undefined) chownSync(path, -1, options.gid)
    chmodSync(path, options.mode)
  } catch (cause) {
    throw new KeepwardError('file-failed', `Cannot listen at ${path}`, { cause })
  }
}

/** Removes a socket of ours that nobody answers at. Absent is fine. */
export async function removeStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket() || (stats.uid !== process.geteuid?.() && stats.uid !== 0)) {
    throw new KeepwardError('file-unsafe', `${path} is not a socket of ours; it is left alone`)
  }
  if (await answers(path)) throw new KeepwardError('state-in-use', `Another process listens at ${path}`)
  unlinkSync(path)
}

/** Connecting to a Unix socket is decided at once: no deadline is needed, save for a full backlog, which is an answer. */
async function answers(path: string): Promise<boolean> {
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

function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = '_handle' in socket ? socket._handle : undefined
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
