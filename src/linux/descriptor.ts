import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import { describeOwner } from './owner.ts'
import { descriptorOf } from './unix-socket.ts'

/** A connection whose ends are in one process until one is sent away: over it descriptors go, one after another. */
export function descriptorPair(): { readonly ours: number; readonly theirs: number } {
  const [ours, theirs] = native().socketPair()
  return { ours, theirs }
}

/** The next descriptor that has come over one end of a pair; undefined when none has, or when the other end is gone. */
export function nextDescriptor(end: number): number | undefined {
  try {
    const fd = native().receiveDescriptor(end)
    return fd < 0 ? undefined : fd
  } catch {
    return undefined
  }
}

/**
 * Sends a copy of a descriptor over an end of a pair, or as the first thing on a connection that was just accepted. Throws
 * `file-failed`.
 */
export function sendDescriptor(to: Socket | number, fd: number): void {
  try {
    native().sendDescriptor(typeof to === 'number' ? to : (descriptorOf(to) ?? -1), fd)
  } catch (cause) {
    throw new KeepwardError('file-failed', 'Cannot send a descriptor', { cause })
  }
}

/**
 * Connects to a socket whose owner sends so many descriptors first, and gives all, the connection paused. Rejects with `host-unreachable` when nobody
 * listens or nothing comes within the deadline, with `permission-denied` when the owner is not of that uid.
 */
export async function connectForDescriptors(
  path: string,
  ownerUid: number,
  count: number,
  deadlineMs: number,
): Promise<{ readonly socket: Socket; readonly fds: readonly number[] }> {
  const unreachable = (cause: unknown) =>
    new KeepwardError('host-unreachable', `Nobody answers at ${path}`, { cause, hint: 'is keepward-host running?' })
  let connection: number
  try {
    connection = native().connectUnix(path)
  } catch (cause) {
    throw errnoOf(cause) === 'EACCES' ? lockedOut(path, cause) : unreachable(cause)
  }
  const fds: number[] = []
  try {
    checkOwner(path, connection, ownerUid)
    const untilMs = performance.now() + deadlineMs
    for (;;) {
      const fd = native().receiveDescriptor(connection)
      if (fd >= 0) fds.push(fd)
      if (fds.length === count) return { socket: new Socket({ fd: connection, readable: true, writable: true }), fds }
      if (fd >= 0) continue
      if (performance.now() > untilMs) throw new Error(`it sends nothing within ${deadlineMs} ms`)
      await pause(pollMs)
    }
  } catch (cause) {
    for (const fd of [connection, ...fds]) closeSync(fd)
    throw cause instanceof KeepwardError ? cause : unreachable(cause)
  }
}

const pollMs = 2

function lockedOut(path: string, cause: unknown): KeepwardError {
  const owner = describeOwner(path) ?? 'somebody who does not let us look'
  const us = `uid ${String(process.geteuid?.())}`
  return new KeepwardError('host-unreachable', `${path} is of ${owner}, and we are ${us}`, {
    cause,
    hint: 'keepward-host gives it to the user in agent.user of its config: have both read the same config, and restart keepward-host',
  })
}

/** Whoever listens was there at listen(2): of another user, it is not who it should be. */
function checkOwner(path: string, fd: number, wanted: number): void {
  const into = new Uint32Array(3)
  native().peerCredentials(fd, into)
  const uid = into[1]
  if (uid === wanted) return
  throw new KeepwardError('permission-denied', `Uid ${String(uid)} listens at ${path}, not uid ${String(wanted)}`)
}
