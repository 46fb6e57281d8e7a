import { constants } from 'node:os'
import { getSystemErrorMessage, getSystemErrorName } from 'node:util'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { ending, openFiles, type Ending } from './captured.ts'
import { cleanEnvironment, startError } from './child.ts'
import { inNamespace } from './in-namespace.ts'
import { native } from './native.ts'

export interface ConfinedOptions {
  /** Whom it runs as; neither may be 0. */
  readonly uid: number
  readonly gid: number
  /** After it all that the program started is killed. */
  readonly timeoutMs: number
  readonly stdin: string
  /** Of each stream. A write beyond it fails; so nothing that is said costs more memory. */
  readonly maxOutputBytes: number
  /** Added to a clean environment of PATH and LC_ALL=C. */
  readonly env: Readonly<Record<string, string>>
  /** Network namespace that it runs in; ours unless given. */
  readonly namespaceFd?: number | undefined
  /** Has it killed at once. */
  readonly signal: AbortSignal
}

export interface ConfinedEnd extends Ending {
  readonly stdout: string
  readonly stderr: string
  /** It wanted to say more than it may. */
  readonly overflowed: boolean
}

/** Bytes of data, bytes of a file, processes of its user, descriptors. */
const limits = [1024 ** 3, 1024 ** 3, 256, 1024] as const

/**
 * Runs the file that `program` holds, whatever bears its name by now, as a user without any privilege and with no way to gain one. It is the
 * first process of a pid namespace: whatever it starts ends with it, however it was detached. It dies with us. For a script `$0` is
 * /dev/fd/3. Throws `resources-exhausted`, or `command-failed` where it cannot be executed at all.
 */
export async function runConfined(
  program: number,
  argv: readonly string[],
  options: ConfinedOptions,
): Promise<ConfinedEnd> {
  const { uid, gid, timeoutMs, maxOutputBytes, namespaceFd, signal } = options
  // The kernel's word for root stands here, whatever a config says.
  if (uid < 1 || gid < 1) throw new KeepwardError('internal', 'A confined program must not run as root')
  const [name = ''] = argv
  using files = openFiles(name, options.stdin, maxOutputBytes)
  const env = Object.entries({ ...cleanEnvironment, ...options.env }).map(([key, value]) => `${key}=${value}`)
  const launch = () => native().spawnConfined(program, argv, env, files.stdio, [uid, gid, ...limits])
  const child = start(name, () => (namespaceFd === undefined ? launch() : inNamespace(namespaceFd, launch)))
  const kill = () => {
    native().pidfdSignal(child.pidfd, constants.signals.SIGKILL)
  }
  const ended = ending(child, timeoutMs, kill)
  const abort = () => {
    tolerant(kill)
  }
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  const end = await ended.finally(() => {
    signal.removeEventListener('abort', abort)
  })
  const [stdout, stderr] = [files.read(1), files.read(2)]
  demandExecuted(name, end, stderr)
  return { ...end, stdout, stderr, overflowed: files.overflowed() }
}

function start<T>(name: string, launch: () => T): T {
  try {
    return launch()
  } catch (cause) {
    throw cause instanceof KeepwardError ? cause : startError(name, cause)
  }
}

/** See spawnConfined() in native/spawn.c. */
function demandExecuted(name: string, { exitCode }: Ending, stderr: string): void {
  const said = /^keepward: (\w+) (\d{3})\n$/.exec(stderr)
  if (exitCode !== 127 || said === null) return
  const errno = -Number(said[2])
  const cause = new Error(`${said[1] ?? ''}: ${getSystemErrorMessage(errno)}`)
  throw startError(name, Object.assign(cause, { code: getSystemErrorName(errno) }))
}

/** It has ended already. */
function tolerant(body: () => void): void {
  try {
    body()
  } catch (error) {
    if (!['ESRCH', 'EBADF'].includes(errnoOf(error) ?? '')) throw error
  }
}
