import { errnoOf, KeepwardError } from '../base/error.ts'
import { ending, openFiles, type Ending, type Said } from './captured.ts'
import { startChild } from './child.ts'

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
  /** Kills the command and its process group, which has failed then. */
  readonly signal?: AbortSignal
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
  using files = openFiles(argv[0] ?? '', options.stdin ?? '', maxOutputBytes)
  const child = startChild(argv, { namespaceFd: options.namespaceFd, env: options.env, stdio: files.stdio })
  const kill = () => {
    killGroup(child.pid)
  }
  options.signal?.addEventListener('abort', kill)
  if (options.signal?.aborted === true) kill()
  // Later its group may be another's.
  const end = await ending(child, timeoutMs, kill).finally(() => {
    options.signal?.removeEventListener('abort', kill)
  })
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

/** The command leads a session, so a group; until it is waited for its pid is nobody else's. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))

const clip = (text: string): string => (text.length > 2000 ? `${text.slice(0, 2000)}...` : text)
