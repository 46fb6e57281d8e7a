import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import { descriptorOf } from './unix-socket.ts'

/** Sends a copy of a descriptor as the first thing on a connection that was just accepted. Throws `file-failed`. */
export function sendDescriptor(socket: Socket, fd: number): void {
  try {
    native().sendDescriptor(descriptorOf(socket) ?? -1, fd)
  } catch (cause) {
    throw new KeepwardError('file-failed', 'Cannot send a descriptor', { cause })
  }
}

/**
 * Connects to a socket whose owner sends a descriptor first, and gives both, the connection paused. Rejects with `host-unreachable` when nobody
 * listens or nothing comes within the deadline, with `permission-denied` when the owner is not of that uid.
 */
export async function connectForDescriptor(
  path: string,
  ownerUid: number,
  deadlineMs: number,
): Promise<{ readonly socket: Socket; readonly fd: number }> {
  const unreachable = (cause: unknown) =>
    new KeepwardError('host-unreachable', `Nobody answers at ${path}`, { cause, hint: 'is keepward-host running?' })
  let connection: number
  try {
    connection = native().connectUnix(path)
  } catch (cause) {
    throw unreachable(cause)
  }
  try {
    checkOwner(path, connection, ownerUid)
    const untilMs = performance.now() + deadlineMs
    for (;;) {
      const fd = native().receiveDescriptor(connection)
      if (fd >= 0) return { socket: new Socket({ fd: connection, readable: true, writable: true }), fd }
      if (performance.now() > untilMs) throw new Error(`it sends nothing within ${deadlineMs} ms`)
      await pause(pollMs)
    }
  } catch (cause) {
    closeSync(connection)
    throw cause instanceof KeepwardError ? cause : unreachable(cause)
  }
}

const pollMs = 2

/** Whoever listens was there at listen(2): of another user, it is not who it should be. */
function checkOwner(path: string, fd: number, wanted: number): void {
  const into = new Uint32Array(3)
  native().peerCredentials(fd, into)
  const uid = into[1]
  if (uid === wanted) return
  throw new KeepwardError('permission-denied', `Uid ${String(uid)} listens at ${path}, not uid ${String(wanted)}`)
}
