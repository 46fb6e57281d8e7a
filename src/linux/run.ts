import { type ChildProcess, spawn } from 'node:child_process'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { inNamespace } from './in-namespace.ts'

export interface RunOptions {
  /** After it the command and its process group are killed; 10 s. */
  readonly timeoutMs?: number
  readonly stdin?: string
  /** Network namespace that the command runs in. */
  readonly namespaceFd?: number
  /** Added to a clean environment of PATH and LC_ALL=C. */
  readonly env?: Readonly<Record<string, string>>
  /** Of each stream; a command that says more is killed; 1 MiB. */
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

  constructor(argv: readonly string[], end: Ending) {
    const how = end.signal === null ? `exit code ${String(end.exitCode)}` : `signal ${end.signal}`
    super(`${how}; it said: ${clip(end.stderr.trim() || end.stdout.trim() || 'nothing')}`)
    this.argv = argv
    this.exitCode = end.exitCode ?? undefined
    this.signal = end.signal ?? undefined
    this.stdout = end.stdout
    this.stderr = end.stderr
  }
}

export const cleanEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const

/**
 * Runs a short command to its end. Never a shell: `argv` reaches the program as it is. Throws `command-failed`,
 * `command-timeout` (both with a {@link CommandError} as cause) or `command-missing`.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? 10_000
  const end = await new Promise<Ending>((resolve, reject) => {
    const child = start(argv, options)
    child.once('error', (error) => {
      reject(startError(argv, error))
    })
    collect(child, options.maxOutputBytes ?? 1024 * 1024, timeoutMs, resolve)
    // A command may end without reading its input: that is its right (EPIPE).
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.stdin ?? '')
  })
  const said = argv.map(quoted).join(' ')
  if (end.killed !== undefined) {
    const cause = new CommandError(argv, end)
    if (end.killed === 'time')
      throw new KeepwardError('command-timeout', `${said} took longer than ${timeoutMs} ms`, { cause })
    throw new KeepwardError('command-failed', `${said} said more than it may`, { cause })
  }
  if (end.exitCode === null || !(options.exitCodes ?? [0]).includes(end.exitCode)) {
    throw new KeepwardError('command-failed', `${said} failed`, { cause: new CommandError(argv, end) })
  }
  return { stdout: end.stdout, stderr: end.stderr, exitCode: end.exitCode }
}

interface Ending {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly killed: 'time' | 'output' | undefined
}

/** A group of its own, so that what the command started is killed with it. */
function start(argv: readonly string[], options: RunOptions): ChildProcess {
  const [program, ...rest] = argv
  if (program === undefined) throw new KeepwardError('internal', 'run() needs a program')
  const env = { ...cleanEnvironment, ...options.env }
  const launch = () => spawn(program, rest, { cwd: '/', env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  try {
    return options.namespaceFd === undefined ? launch() : inNamespace(options.namespaceFd, launch)
  } catch (error) {
    throw error instanceof KeepwardError ? error : startError(argv, error)
  }
}

function collect(child: ChildProcess, maxBytes: number, timeoutMs: number, done: (end: Ending) => void): void {
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const sizes = { stdout: 0, stderr: 0 }
  let killed: Ending['killed']
  const kill = (reason: 'time' | 'output') => {
    killed ??= reason
    killGroup(child)
  }
  const timer = setTimeout(kill, timeoutMs, 'time')
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      sizes[stream] += chunk.length
      if (sizes[stream] > maxBytes) kill('output')
      else output[stream].push(chunk)
    })
  }
  child.once('close', (exitCode, signal) => {
    clearTimeout(timer)
    const [stdout, stderr] = [Buffer.concat(output.stdout).toString(), Buffer.concat(output.stderr).toString()]
    done({ stdout, stderr, exitCode, signal, killed })
  })
  child.once('error', () => {
    clearTimeout(timer)
  })
}

function killGroup(child: ChildProcess): void {
  // A grandchild that left the group must not keep us waiting on its copy of the pipes.
  child.stdout?.destroy()
  child.stderr?.destroy()
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

function startError(argv: readonly string[], cause: unknown): KeepwardError {
  const program = argv[0] ?? ''
  if (errnoOf(cause) === 'ENOENT') {
    return new KeepwardError('command-missing', `The program ${program} is not installed`, { cause })
  }
  return new KeepwardError('command-failed', `Cannot start ${program}`, { cause })
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))

const clip = (text: string): string => (text.length > 2000 ? `${text.slice(0, 2000)}...` : text)
