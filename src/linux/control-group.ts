import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { procCodeOf, readProc } from './proc.ts'
import { childrenOf } from './process.ts'
import { unifiedGroup } from './process-group.ts'

/**
 * Moves a process, and children it has already, out of our control group, which the service manager empties when it
 * stops us. Returns false when we are in none (no cgroup v2, or its root). Throws `permission-denied`, and as {@link readProc}.
 */
export function leaveControlGroup(pid: number, group = 'keepward-routers'): boolean {
  const mount = ownMount()
  const own = unifiedGroup(readProc('/proc/self/cgroup') ?? '')
  if (mount === undefined || own === undefined || own === '/' || own === `/${group}`) return false
  const directory = `${mount}/${group}`
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    // A child that is forked from now on is born in the new group; the list is read after the move.
    writeFileSync(`${directory}/cgroup.procs`, String(pid))
    for (const child of childrenOf(pid)) moveIfAlive(child, directory)
    return true
  } catch (cause) {
    if (errnoOf(cause) === 'ESRCH') return true
    throw new KeepwardError('permission-denied', `Cannot move process ${pid} out of our control group ${own}`, {
      cause,
      hint: `the agent must be able to write ${directory}/cgroup.procs; without it, its service needs KillMode=process`,
    })
  }
}

/** A line for each named namespace stands in mountinfo: read once, since cgroup2 is not moved under a running system. */
function ownMount(): string | undefined {
  try {
    return (knownMount ??= unifiedMount(readFileSync('/proc/self/mountinfo', 'utf8')))
  } catch (cause) {
    throw new KeepwardError(procCodeOf(cause), 'Cannot read /proc/self/mountinfo', { cause })
  }
}

let knownMount: string | undefined

/** Whether a process is in our control group, with which the service manager would end it; the root is nobody's. */
export function sharesControlGroup(pid: number): boolean {
  const own = unifiedGroup(readProc('/proc/self/cgroup') ?? '')
  if (own === undefined || own === '/') return false
  try {
    return unifiedGroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) === own
  } catch {
    // It has ended.
    return false
  }
}

/** Where cgroup v2 is mounted, by /proc/<pid>/mountinfo (proc_pid_mountinfo(5)): `... <mount point> ... - cgroup2 ...`. */
export function unifiedMount(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    if (fields[fields.indexOf('-') + 1] === 'cgroup2') return fields[4]
  }
  return undefined
}

function moveIfAlive(pid: number, directory: string): void {
  try {
    writeFileSync(`${directory}/cgroup.procs`, String(pid))
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error
  }
}
