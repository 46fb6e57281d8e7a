import { closeSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { type Child, startChild, waitForChild } from './child.ts'
import { native } from './native.ts'

export { cleanEnvironment } from './child.ts'

export interface RunOptions {
  /** After it the command and its process group are killed; 10 s. */
  readonly timeoutMs?: number
  readonly stdin?: string
  /** Network namespace that the command runs in. */
  readonly namespaceFd?: number
  /** Added to a clean environment of PATH and LC_ALL=C. */
  readonly env?: Readonly<Record<string, string>>
  /** Of each stream; a command that says more has failed; 1 MiB. */
  readonly maxOutputBytes?: number
  /** Exit codes that are answers, not failures; [0]. */
  readonly exitCodes?: readonly number[]
}

export interface RunResult {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/** What a failed command leaves: argv, how it ended, what it said. The cause of `command-failed` and `command-timeout`. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly argv: readonly string[]
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stdout: string
  readonly stderr: string

  constructor(argv: readonly string[], end: Ending & Said) {
    const how = end.signal === undefined ? `exit code ${String(end.exitCode)}` : `signal ${end.signal}`
    super(`${how}; it said: ${clip(end.stderr.trim() || end.stdout.trim() || 'nothing')}`)
    this.argv = argv
    this.exitCode = end.exitCode
    this.signal = end.signal
    this.stdout = end.stdout
    this.stderr = end.stderr
  }
}

/**
 * Runs a short command to its end, and not to that of what it leaves running. Never a shell: `argv` reaches the program
 * as it is. Throws `command-failed`, `command-timeout` (both with a {@link CommandError} as cause) or `command-missing`.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeoutMs = 10_000, maxOutputBytes = 1024 * 1024, exitCodes = [0] } = options
  using files = openFiles(argv, options.stdin ?? '', maxOutputBytes)
  const child = startChild(argv, { namespaceFd: options.namespaceFd, env: options.env, stdio: files.stdio })
  const end = await ending(child, timeoutMs)
  const said = { stdout: files.read(1), stderr: files.read(2) }
  const fail = (code: 'command-failed' | 'command-timeout', how: string): never => {
    const cause = new CommandError(argv, { ...end, ...said })
    throw new KeepwardError(code, `${argv.map(quoted).join(' ')} ${how}`, { cause })
  }
  if (files.overflowed()) fail('command-failed', 'said more than it may')
  if (end.timedOut) fail('command-timeout', `took longer than ${timeoutMs} ms`)
  if (end.exitCode === undefined || !exitCodes.includes(end.exitCode)) return fail('command-failed', 'failed')
  return { ...said, exitCode: end.exitCode }
}

interface Said {
  readonly stdout: string
  readonly stderr: string
}

/** Exit code or signal; neither when it outlived SIGKILL. */
interface Ending {
  readonly timedOut: boolean
  readonly exitCode: number | undefined
  readonly signal: string | undefined
}

interface Files extends Disposable {
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
function openFiles(argv: readonly string[], stdin: string, maxBytes: number): Files {
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
    throw new KeepwardError(codeOf(cause, 'command-failed'), `Cannot start ${argv[0] ?? ''}`, { cause })
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

/** A process that SIGKILL does not end, since the kernel holds it, is waited for behind our back. */
function ending(child: Child, timeoutMs: number): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let timedOut = false
    let timer = setTimeout(() => {
      timedOut = true
      timer = setTimeout(resolve, killMs, { timedOut, exitCode: undefined, signal: undefined })
      // An exception in a timer or a callback of ours would end the process.
      attempt(reject, () => {
        killGroup(child.pid)
      })
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

/** The command leads a session, so a group; until it is waited for its pid is nobody else's. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

const signalName = (signal: number): string =>
  Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? String(signal)

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))

const clip = (text: string): string => (text.length > 2000 ? `${text.slice(0, 2000)}...` : text)
