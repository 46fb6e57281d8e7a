import { createRequire } from 'node:module'
import { KeepwardError } from '../base/error.ts'

declare const watchBrand: unique symbol
/** A running watch of a descriptor, kept by the addon. */
export interface WatchHandle {
  readonly [watchBrand]: true
}

/**
 * The C addon (native/). Failing system calls throw an Error with `code` ('EPERM'), `errno` and `syscall`.
 * Descriptors it returns are closed with `fs.closeSync`.
 */
export interface Native {
  /** `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. */
  netlinkOpen(protocol: number, groups: readonly number[], allNsid: boolean, receiveBufferBytes: number): number
  /** Blocks until the last message of `request` is acknowledged or its dump is done. */
  netlinkExchange(fd: number, request: Buffer, timeoutMs: number): Buffer
  /** `frames` holds (namespace id or -1, byte length) for each datagram in `messages`; both null when errno is not 0. */
  watch(fd: number, callback: (errno: number, messages: Buffer | null, frames: Int32Array | null) => void): WatchHandle
  /** No callback comes after it. Idempotent. */
  unwatch(handle: WatchHandle): void
  /** Reads what waits on a netlink watch now, callbacks included. */
  drain(handle: WatchHandle): void
  setns(fd: number): void
  pidfdOpen(pid: number): number
  pidfdSignal(pidfd: number, signal: number): void
  /** Fires once, when the process has ended; in the background it keeps no event loop alive. */
  pidfdWatch(pidfd: number, callback: () => void, background?: boolean): WatchHandle
  /** Whether the process has ended, waited for or not. */
  pidfdEnded(pidfd: number): boolean
  /** Waits for a child that ended: exit code or -1, signal or 0, neither when another waited for it; null while it runs. */
  pidfdWait(pidfd: number): { exitCode: number; signal: number } | null
  /**
   * Starts the first of `paths` that can be executed in a session of its own and in this thread's network namespace;
   * `stdio` holds descriptors, -1 for /dev/null. The failing `syscall` is that of the child: `execve`, `chdir`.
   */
  spawn(
    paths: readonly string[],
    argv: readonly string[],
    env: readonly string[],
    directory: string,
    stdio: readonly [number, number, number],
  ): { pid: number; pidfd: number }
  /**
   * Starts the file that `program` holds as another user, who has no groups, capabilities or ways to gain any: as the first process of a pid
   * namespace, in this thread's network namespace and dying with this thread. What hinders it is said on its stderr (`keepward: execve 002`),
   * with exit code 127. `confinement`: uid, gid, and limits: bytes of data,
   * bytes of a file, processes of the user, descriptors; none may be 0.
   */
  spawnConfined(
    program: number,
    argv: readonly string[],
    env: readonly string[],
    stdio: readonly [number, number, number],
    confinement: readonly [number, number, number, number, number, number],
  ): { pid: number; pidfd: number }
  /** An anonymous file that cannot grow past the limit. */
  memoryFile(limitBytes: number): number
  /** Where the next write through the descriptor, or a copy of it, goes. */
  offset(fd: number): number
  /** The text of a file of procfs, at most 256 KiB; null when the file or its process is not there. */
  readProc(path: string): string | null
  /** Pid, uid, gid, and supplementary groups where there is room for any; how many numbers that makes. */
  peerCredentials(fd: number, into: Uint32Array): number
  /** A pidfd of the process that connected, or listens; -1 where the kernel has none to give (before 6.5). */
  peerPidfd(fd: number): number
  /** Two stream sockets that do not block, connected to each other. */
  socketPair(): [number, number]
  /** A stream socket that does not block. */
  connectUnix(path: string): number
  /** One byte, a line feed, with a copy of the descriptor. */
  sendDescriptor(socket: number, fd: number): void
  /** What came with the next byte, which is read; -1 while nothing has come. */
  receiveDescriptor(socket: number): number
  /** Bytes that have come to a stream socket and that nobody has read. */
  unreadBytes(fd: number): number
  flock(fd: number): boolean
  mkfifo(path: string, mode: number): void
  /** CLOCK_BOOTTIME in nanoseconds. */
  bootTime(): bigint
  sdNotify(path: string, text: string): void
}

/** Loads the addon on first use. Throws `native-missing`. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

let loaded: Native | undefined

/** Sources lie two directories below the root, a bundle (dist/) one. */
function load(): Native {
  const path = import.meta.url.endsWith('.ts') ? '../../build/keepward.node' : '../build/keepward.node'
  try {
    return createRequire(import.meta.url)(path) as Native
  } catch (cause) {
    throw new KeepwardError('native-missing', 'Cannot load the native addon build/keepward.node', {
      cause,
      hint: 'build it with native/build.sh',
    })
  }
}
