import { closeSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { native, type WatchHandle } from './native.ts'
import { procCodeOf, readProc } from './proc.ts'

/** From /proc/<pid>/stat (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number
  readonly name: string
  /** R, S, D, Z (ended, not yet waited for), T (stopped), t (traced), X, I. */
  readonly state: string
  readonly parentPid: number
  /** Clock ticks between boot and the process's start; with the pid it names one process of this boot. */
  readonly startTicks: number
}

/** What tells one process from every other, also after we were restarted. Plain data, for a file. */
export interface ProcessIdentity {
  readonly bootId: string
  readonly pid: number
  readonly startTicks: number
  readonly argv: readonly string[]
  /** Inode of its network namespace. */
  readonly networkNamespace: number
}

/** A process held by a pidfd: nothing here can reach another process that was given its pid. */
export interface ProcessHandle extends Disposable {
  readonly pid: number
  /** Undefined once it has ended and was waited for. */
  stat(): ProcessStat | undefined
  identity(): ProcessIdentity | undefined
  /** False from the moment it ended, also while its parent has not waited for it. */
  alive(): boolean
  /** False when it ended and was waited for; one that was not yet waited for takes any signal without effect. */
  signal(signal: NodeJS.Signals | number): boolean
  /** Calls once when it ends, at once when it has; returns a function that takes the wish back. */
  onEnd(callback: () => void): () => void
  /** Whether it ended within the time, or before it is closed. */
  ended(timeoutMs: number): Promise<boolean>
  /** The process goes on. No callback comes after it. */
  close(): void
}

/** Holds a process, ours or not; undefined when there is none of that pid. */
export function openProcess(pid: number): ProcessHandle | undefined {
  const pidfd = openPidfd(pid)
  return pidfd === undefined ? undefined : handleOf(pid, pidfd)
}

/** The very process of that identity, held; undefined when it ended, or the machine was started anew since. */
export function adoptProcess(identity: ProcessIdentity): ProcessHandle | undefined {
  if (identity.bootId !== bootId()) return undefined
  const handle = openProcess(identity.pid)
  const found = handle?.identity()
  if (found !== undefined && handle?.alive() === true && sameProcess(found, identity)) return handle
  handle?.close()
  return undefined
}

export function sameProcess(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return (
    one.bootId === other.bootId &&
    one.pid === other.pid &&
    one.startTicks === other.startTicks &&
    one.networkNamespace === other.networkNamespace &&
    one.argv.length === other.argv.length &&
    one.argv.every((word, at) => word === other.argv[at])
  )
}

/** Random, new at each boot of the kernel. */
export function bootId(): string {
  return (knownBootId ??= (readProc('/proc/sys/kernel/random/boot_id') ?? '').trim())
}

/**
 * The pids, ascending, of all processes with exactly this word among their arguments, and of that name (at most 15
 * bytes) when one is given. Give one: reading the arguments of a process waits while that is stuck on memory of a stalled
 * disk, and reading its name does not.
 */
export function findByArgument(word: string, name?: string): number[] {
  const candidates = name === undefined ? allPids() : allPids().filter((pid) => readOf(pid, 'comm') === `${name}\n`)
  return candidates.filter((pid) => commandLine(pid)?.includes(word))
}

/** The pids of a process's living children. */
export function childrenOf(pid: number): number[] {
  try {
    const lists = readdirSync(`/proc/${pid}/task`).map((task) => readOf(pid, `task/${task}/children`))
    // Kernels without CONFIG_PROC_CHILDREN have no such file.
    if (lists.includes(undefined)) return allPids().filter((candidate) => processStat(candidate)?.parentPid === pid)
    return lists.flatMap((list) => numbers(list?.split(' ') ?? []))
  } catch (error) {
    if (isGone(error)) return []
    throw error instanceof KeepwardError
      ? error
      : new KeepwardError(procCodeOf(error), `Cannot see the children of process ${pid}`, { cause: error })
  }
}

export function processStat(pid: number): ProcessStat | undefined {
  const text = readOf(pid, 'stat')
  return text === undefined ? undefined : parseStat(text)
}

/** The name stands in parentheses and may hold any byte, parentheses and spaces included. */
export function parseStat(text: string): ProcessStat | undefined {
  const [open, close] = [text.indexOf('('), text.lastIndexOf(')')]
  const fields = text.slice(close + 2).split(' ')
  const [pid, parentPid, startTicks] = [text.slice(0, open), fields[1], fields[19]].map(Number)
  const state = fields[0]
  if (open < 0 || close < open || state === undefined || pid === undefined) return undefined
  if (!Number.isSafeInteger(parentPid) || !Number.isSafeInteger(startTicks)) return undefined
  return { pid, name: text.slice(open + 1, close), state, parentPid: parentPid ?? 0, startTicks: startTicks ?? 0 }
}

/** Its arguments; empty for a kernel thread and a process that ended; undefined when there is none. */
export function commandLine(pid: number): string[] | undefined {
  const text = readOf(pid, 'cmdline')
  if (text === undefined) return undefined
  return text === '' ? [] : text.replace(/\0$/, '').split('\0')
}

/** The path of the file that it runs, as it is in its own mount namespace; undefined when it ended, or is a thread of the kernel. */
export function executableOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch (error) {
    if (isGone(error)) return undefined
    throw new KeepwardError('permission-denied', `Cannot see what process ${pid} runs`, { cause: error })
  }
}

/** The inode of its network namespace; undefined when it ended. */
export function networkNamespaceOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}/ns/net`).ino
  } catch (error) {
    if (isGone(error)) return undefined
    throw new KeepwardError(procCodeOf(error), `Cannot see the network namespace of process ${pid}`, { cause: error })
  }
}

let knownBootId: string | undefined

function openPidfd(pid: number): number | undefined {
  try {
    return native().pidfdOpen(pid)
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return undefined
    throw new KeepwardError(procCodeOf(error), `Cannot hold process ${pid}`, { cause: error })
  }
}

function handleOf(pid: number, pidfd: number): ProcessHandle {
  const listeners = new Set<{ readonly callback: () => void }>()
  /** Each is told whether it ended. */
  const waiting = new Set<(has: boolean) => void>()
  let watch: WatchHandle | undefined
  let open = true
  let endedOpen = false

  const alive = () => open && !native().pidfdEnded(pidfd)

  const signal = (wanted: NodeJS.Signals | number): boolean => {
    if (!open) return false
    try {
      native().pidfdSignal(pidfd, typeof wanted === 'number' ? wanted : constants.signals[wanted])
      return true
    } catch (error) {
      if (errnoOf(error) === 'ESRCH') return false
      throw new KeepwardError('permission-denied', `Cannot signal process ${pid}`, { cause: error })
    }
  }

  /** What /proc says of the pid is of our process if that was still there afterwards. */
  const certain = <T>(read: () => T | undefined): T | undefined => {
    const value = read()
    return signal(0) ? value : undefined
  }

  /** One watch for all who wait: libuv lets a descriptor be polled once. */
  const onEnd = (callback: () => void): (() => void) => {
    if (!open) return () => undefined
    const listener = { callback }
    listeners.add(listener)
    watch ??= native().pidfdWatch(pidfd, () => {
      watch = undefined
      for (const each of [...listeners]) if (listeners.delete(each)) each.callback()
    })
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) unwatch()
    }
  }

  const unwatch = () => {
    if (watch !== undefined) native().unwatch(watch)
    watch = undefined
  }

  const close = () => {
    if (!open) return
    endedOpen = !alive()
    open = false
    for (const settle of waiting) settle(endedOpen)
    listeners.clear()
    unwatch()
    closeSync(pidfd)
  }

  const ended = (timeoutMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      if (!open) {
        resolve(endedOpen)
        return
      }
      const settle = (has: boolean) => {
        clearTimeout(timer)
        stop()
        waiting.delete(settle)
        resolve(has)
      }
      const stop = onEnd(() => {
        settle(true)
      })
      const timer = setTimeout(settle, timeoutMs, false)
      waiting.add(settle)
    })

  return {
    pid,
    stat: () => certain(() => processStat(pid)),
    identity: () => certain(() => identityOf(pid)),
    alive,
    signal,
    onEnd,
    ended,
    close,
    [Symbol.dispose]: close,
  }
}

function identityOf(pid: number): ProcessIdentity | undefined {
  const [stat, argv, networkNamespace] = [processStat(pid), commandLine(pid), networkNamespaceOf(pid)]
  if (stat === undefined || argv === undefined || networkNamespace === undefined) return undefined
  return { bootId: bootId(), pid, startTicks: stat.startTicks, argv, networkNamespace }
}

function allPids(): number[] {
  try {
    return numbers(readdirSync('/proc')).sort((one, other) => one - other)
  } catch (cause) {
    throw new KeepwardError(procCodeOf(cause), 'Cannot list /proc', { cause })
  }
}

const numbers = (words: readonly string[]): number[] => words.filter((word) => /^[0-9]+$/.test(word)).map(Number)

const readOf = (pid: number, file: string): string | undefined => readProc(`/proc/${pid}/${file}`)

const isGone = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')
