import { createRequire } from 'node:module'
import { KeepwardError } from '../base/error.ts'

declare const watchBrand: unique symbol
/** A running watch of a descriptor, kept by the addon. */
export interface WatchHandle {
  readonly [watchBrand]: true
}

/**
 * The C addon (native/keepward.c). Failing system calls throw an Error with `code` ('EPERM'), `errno` and `syscall`.
 * Descriptors it returns are closed with `fs.closeSync`.
 */
export interface Native {
  netlinkOpen(groups: readonly number[], allNsid: boolean, receiveBufferBytes: number): number
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
  /** Fires once, when the process has ended. */
  pidfdWatch(pidfd: number, callback: () => void): WatchHandle
  peerCredentials(fd: number): { pid: number; uid: number; gid: number; groups: number[] }
  flock(fd: number): boolean
  mkfifo(path: string, mode: number): void
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
