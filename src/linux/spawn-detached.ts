import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { leaveControlGroup } from './control-group.ts'
import { inNamespace } from './in-namespace.ts'
import { openProcess, type ProcessHandle } from './process.ts'
import { cleanEnvironment } from './run.ts'

export interface DetachedOptions {
  /** Network namespace that it runs in. */
  readonly namespaceFd?: number
  /** Added to a clean environment of PATH and LC_ALL=C. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface Detached {
  readonly process: ProcessHandle
  /** Why it could not leave our control group, with which it will end; undefined when all is well. */
  readonly tied: KeepwardError | undefined
}

/**
 * Starts a daemon that outlives us: a session of its own, no terminal, no pipe to us, outside our control group where
 * there is one. Throws `command-missing` or `command-failed` when it cannot be started; how it fares then is told by the
 * handle.
 */
export async function spawnDetached(argv: readonly string[], options: DetachedOptions = {}): Promise<Detached> {
  const [program, ...rest] = argv
  if (program === undefined) throw new KeepwardError('internal', 'spawnDetached() needs a program')
  const env = { ...cleanEnvironment, ...options.env }
  const launch = () => spawn(program, rest, { cwd: options.cwd ?? '/', env, detached: true, stdio: 'ignore' })
  const child = options.namespaceFd === undefined ? launch() : inNamespace(options.namespaceFd, launch)
  if (child.pid === undefined) throw startError(program, await failureOf(child))
  child.unref()
  // No turn of the event loop has passed: a child that has ended is not yet waited for, its pid still its own.
  const handle = openProcess(child.pid)
  if (handle === undefined) throw new KeepwardError('command-failed', `${program} ended as it was started`)
  return { process: handle, tied: tie(child.pid) }
}

async function failureOf(child: NodeJS.EventEmitter): Promise<unknown> {
  const [error] = (await once(child, 'error').catch((cause: unknown) => [cause])) as [unknown]
  return error
}

function startError(program: string, cause: unknown): KeepwardError {
  if (errnoOf(cause) === 'ENOENT') {
    return new KeepwardError('command-missing', `The program ${program} is not installed`, { cause })
  }
  return new KeepwardError('command-failed', `Cannot start ${program}`, { cause })
}

function tie(pid: number): KeepwardError | undefined {
  try {
    leaveControlGroup(pid)
    return undefined
  } catch (error) {
    if (error instanceof KeepwardError) return error
    throw error
  }
}
