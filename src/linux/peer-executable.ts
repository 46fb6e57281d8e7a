import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { native } from './native.ts'
import { executableOf } from './process.ts'
import { descriptorOf, socketOf, type Peer } from './unix-socket.ts'

/** The file that a process runs. A script is run by its interpreter. */
export interface Executable {
  readonly path: string
  /** `connection`: the kernel held the process since it connected; `pid`: one that has its pid now (kernels before 6.5). */
  readonly by: 'connection' | 'pid'
}

/**
 * What the process behind a connection runs; undefined when it has ended, may not be looked at, or the descriptor is no Unix
 * socket. Evidence for a person and no ground for a decision: the process may have become another program since it connected.
 */
export function executableBehind(fd: number): Executable | undefined {
  try {
    const held = native().peerPidfd(fd)
    return held < 0 ? executableByPid(fd) : seen(held, pidOf(held), 'connection')
  } catch {
    return undefined
  }
}

/** As {@link executableBehind}; undefined too once the connection is closed. */
export function executableOfPeer(peer: Peer): Executable | undefined {
  const connection = connectionOf(peer)
  return connection === undefined ? undefined : executableBehind(connection)
}

/** The descriptor of the connection that a peer was asked of; undefined once it is closed. */
export function connectionOf(peer: Peer): number | undefined {
  const socket: Socket | undefined = socketOf(peer)
  return socket === undefined || socket.destroyed ? undefined : descriptorOf(socket)
}

/** Where the kernel does not hold the process: another one may have been given its pid since. Throws an error of the system. */
export function executableByPid(fd: number): Executable | undefined {
  const into = new Uint32Array(3)
  native().peerCredentials(fd, into)
  const [pid = 0] = into
  return seen(native().pidfdOpen(pid), pid, 'pid')
}

/** What /proc says of the pid is of the held process if that still lives afterwards. */
function seen(pidfd: number, pid: number | undefined, by: Executable['by']): Executable | undefined {
  try {
    const path = pid === undefined ? undefined : executableOf(pid)
    return path === undefined || native().pidfdEnded(pidfd) ? undefined : { path: path.slice(0, maxLength), by }
  } finally {
    closeSync(pidfd)
  }
}

/** As our own procfs numbers it (proc_pid_fdinfo(5)); -1: it has ended. */
function pidOf(pidfd: number): number | undefined {
  const text = native().readProc(`/proc/self/fdinfo/${pidfd}`) ?? ''
  const pid = Number(/^Pid:\s*([0-9]+)$/m.exec(text)?.[1] ?? 0)
  return pid > 0 ? pid : undefined
}

const maxLength = 1024
