import { closeSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { codeOf, KeepwardError } from '../base/error.ts'
import { type Child, waitForChild } from './child.ts'
import { native } from './native.ts'

/** What a command says, kept in memory to a bound, and how it ends. */
export interface Said {
  readonly stdout: string
  readonly stderr: string
}

/** Exit code or signal; neither when it outlived SIGKILL. */
export interface Ending {
  readonly timedOut: boolean
  readonly exitCode: number | undefined
  readonly signal: string | undefined
}

export interface Files extends Disposable {
  readonly stdio: readonly [number, number, number]
  /** What was written to stdout (1) or stderr (2). */
  read(stream: 1 | 2): string
  overflowed(): boolean
}

/**
 * Files in memory instead of pipes: a command never waits for us, nor we for a grandchild that keeps a pipe open, and
 * three descriptors cost a tenth of three sockets of Node.js. The slack makes the write that hits the limit (EPERM) one
 * that began past what is allowed.
 */
export function openFiles(program: string, stdin: string, maxBytes: number): Files {
  const open: number[] = []
  const make = (limitBytes: number): number => {
    const fd = native().memoryFile(limitBytes)
    open.push(fd)
    return fd
  }
  const close = () => {
    for (const fd of open.splice(0)) closeSync(fd)
  }
  try {
    const stdio = [input(stdin, make), make(maxBytes + slackBytes), make(maxBytes + slackBytes)] as const
    return {
      stdio,
      read: (stream) => readText(stdio[stream], maxBytes),
      overflowed: () => native().offset(stdio[1]) > maxBytes || native().offset(stdio[2]) > maxBytes,
      [Symbol.dispose]: close,
    }
  } catch (cause) {
    close()
    throw new KeepwardError(codeOf(cause, 'command-failed'), `Cannot start ${program}`, { cause })
  }
}

const slackBytes = 256 * 1024

function input(text: string, make: (limitBytes: number) => number): number {
  if (text === '') return -1
  const bytes = Buffer.from(text)
  const fd = make(bytes.length)
  // By position: the offset, which the command shares, stays at the beginning.
  writeSync(fd, bytes, 0, bytes.length, 0)
  return fd
}

function readText(fd: number, maxBytes: number): string {
  const bytes = Buffer.allocUnsafe(Math.min(native().offset(fd), maxBytes))
  return bytes.toString('utf8', 0, bytes.length === 0 ? 0 : readSync(fd, bytes, 0, bytes.length, 0))
}

/** Waits for the end, and kills when that takes too long. A process that SIGKILL does not end, since the kernel holds it, is waited for behind our back. */
export function ending(child: Child, timeoutMs: number, kill: () => void): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let timedOut = false
    let timer = setTimeout(() => {
      timedOut = true
      timer = setTimeout(resolve, killMs, { timedOut, exitCode: undefined, signal: undefined })
      // An exception in a timer or a callback of ours would end the process.
      attempt(reject, kill)
    }, timeoutMs)
    native().pidfdWatch(child.pidfd, () => {
      clearTimeout(timer)
      attempt(reject, () => {
        const end = waitForChild(child)
        closeSync(child.pidfd)
        const signal = end === undefined || end.signal === 0 ? undefined : signalName(end.signal)
        resolve({ timedOut, exitCode: signal === undefined ? end?.exitCode : undefined, signal })
      })
    })
  })
}

function attempt(reject: (error: unknown) => void, body: () => void): void {
  try {
    body()
  } catch (cause) {
    reject(new KeepwardError('command-failed', 'Cannot wait for the end of a command', { cause }))
  }
}

const killMs = 1000

const signalName = (signal: number): string =>
  Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? String(signal)
