import { closeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import { type Child, startChild, waitForChild } from './child.ts'
import { leaveControlGroup } from './control-group.ts'
import { native } from './native.ts'
import { commandLine, openProcess, type ProcessHandle } from './process.ts'

export interface DetachedOptions {
  /** Network namespace that it runs in. */
  readonly namespaceFd?: number
  /** Added to a clean environment of PATH and LC_ALL=C. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Descriptor for its stdout and stderr; /dev/null. */
  readonly output?: number
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
  const { output = -1, ...rest } = options
  const child = startChild(argv, { ...rest, stdio: [-1, output, output] })
  waitInBackground(child)
  // No turn of the event loop has passed: nobody has waited for it, and its pid is its own.
  const handle = openProcess(child.pid)
  if (handle === undefined) throw new KeepwardError('command-failed', `${argv[0] ?? ''} ended as it was started`)
  const tied = tie(child.pid)
  await untilNamed(handle)
  return { process: handle, tied }
}

/** execve(2) lets the parent of a vfork go on before it has set the arguments, which are a part of who a process is. */
async function untilNamed(handle: ProcessHandle): Promise<void> {
  const deadline = performance.now() + nameMs
  while (commandLine(handle.pid)?.length === 0 && handle.alive() && performance.now() < deadline) await wait(1)
}

const nameMs = 1000

/** Whatever becomes of the handle, nothing stays in the kernel when it ends; after us, init waits for it. */
function waitInBackground(child: Child): void {
  native().pidfdWatch(
    child.pidfd,
    () => {
      waitForChild(child)
      closeSync(child.pidfd)
    },
    true,
  )
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
