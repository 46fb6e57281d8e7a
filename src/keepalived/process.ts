import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import { childrenOf, commandLine, openProcess, processStat, type ProcessHandle } from '../linux/process.ts'
import { spawnDetached } from '../linux/spawn-detached.ts'
import { recordProcess } from './adopt.ts'
import { configHash, readConfig } from './config-file.ts'
import { commandOf, homeFiles, type KeepalivedHome } from './home.ts'
import { childReadyFor } from './signal-readiness.ts'
import { isDeaf } from './vrrp-socket.ts'

/** What lives of a router's keepalived. */
export type ProcessView =
  | { readonly kind: 'absent' }
  /** The parent died; the child gives the addresses back and ends within about a second. */
  | { readonly kind: 'orphaned'; readonly childPid: number; readonly stopped: boolean }
  | {
      readonly kind: 'running'
      readonly pid: number
      /** Undefined while the parent waits to start another. */
      readonly childPid: number | undefined
      /** One of the two is in state T: it neither sends adverts nor answers. */
      readonly stopped: boolean
      /** It neither sends nor hears adverts until it is reloaded: see {@link isDeaf}. */
      readonly deaf: boolean
      /** Clock ticks between boot and the parent's start. */
      readonly startTicks: number
    }

/** Looks at it now. `process` is what {@link startKeepalived} or `findKeepalived` gave, if anything. */
export async function viewKeepalived(home: KeepalivedHome, process: ProcessHandle | undefined): Promise<ProcessView> {
  const parent = process?.alive() === true ? process.stat() : undefined
  if (parent === undefined) return viewOrphan(home)
  const childPid = childrenOf(parent.pid)[0]
  const stopped = isStopped(parent.pid) || (childPid !== undefined && isStopped(childPid))
  const deaf = childPid !== undefined && isDeaf(childPid)
  return { kind: 'running', pid: parent.pid, childPid, stopped, deaf, startTicks: parent.startTicks }
}

export interface Started {
  readonly process: ProcessHandle
  /** Why it will not survive our service's end; undefined when all is well. */
  readonly tied: KeepwardError | undefined
}

/**
 * Starts keepalived with the installed config, so that it survives us. The caller has seen that none runs, has cleared
 * leftover addresses, and holds nothing open afterwards but the handle. Throws `keepalived-failed` (which also says that
 * a child of an earlier one still lives) or `keepalived-missing`.
 */
export async function startKeepalived(home: KeepalivedHome, namespaceFd: number): Promise<Started> {
  const config = await readConfig(home)
  if (config === undefined)
    throw new KeepwardError('internal', `There is no keepalived config in ${home.path} to start`)
  const before = await viewOrphan(home)
  if (before.kind !== 'absent') {
    throw new KeepwardError('keepalived-failed', `A keepalived of ${home.path} still runs, wanted none before a start`)
  }
  // keepalived refuses to start when any process has the pid in the file (LP#1561046).
  await Promise.all([home.remove(homeFiles.parentPid), home.remove(homeFiles.childPid)])
  const dumps = home.sub(homeFiles.dumpDirectory, { create: true })
  dumps.close()
  const started = await spawn(home, namespaceFd)
  await recordProcess(home, started.process, configHash(config))
  return started
}

/**
 * Tells keepalived to read the installed config, and gives a deaf one time to open its sockets. The caller has had the
 * config tested. Throws `keepalived-silent` when it takes no signal within `deadlineMs`.
 */
export async function reloadKeepalived(home: KeepalivedHome, process: ProcessHandle, deadlineMs = 3000): Promise<void> {
  const config = await readConfig(home)
  const deadline = performance.now() + deadlineMs
  let child: number | undefined
  while ((child = childReadyFor(process, hangup)) === undefined) {
    if (performance.now() > deadline || !process.alive()) {
      throw new KeepwardError('keepalived-silent', `keepalived ${process.pid} takes no reload`)
    }
    await wait(5)
  }
  process.signal('SIGHUP')
  if (config !== undefined) await recordProcess(home, process, configHash(config))
  // Whoever looks next would still find it deaf, and reload it again.
  const opened = performance.now() + openSocketsMs
  while (isDeaf(child) && performance.now() < opened) await wait(5)
}

/**
 * Ends keepalived: orderly, which gives the addresses back and tells the peers (RFC 9568, 6.4.3, priority 0), or after
 * `graceMs` by SIGKILL, which leaves the addresses for the caller to remove. Says which; gone already is `stopped`.
 */
export async function stopKeepalived(
  home: KeepalivedHome,
  process: ProcessHandle,
  graceMs = 5000,
): Promise<'stopped' | 'killed'> {
  const child = openChild(process)
  try {
    const orderly = await endOrderly(process, child, graceMs)
    if (!orderly) await killBoth(process, child)
    await Promise.all([homeFiles.process, homeFiles.parentPid, homeFiles.childPid].map((name) => home.remove(name)))
    return orderly ? 'stopped' : 'killed'
  } finally {
    child?.close()
  }
}

const hangup = 1
/** A reload takes some ms. */
const openSocketsMs = 1000

async function viewOrphan(home: KeepalivedHome): Promise<ProcessView> {
  const childPid = Number((await home.readText(homeFiles.childPid, { maxBytes: 32 })) ?? '')
  if (!Number.isSafeInteger(childPid) || childPid < 1 || !isOurs(home, childPid)) return { kind: 'absent' }
  return { kind: 'orphaned', childPid, stopped: isStopped(childPid) }
}

/** The pid in a file may be anybody's by now. */
function isOurs(home: KeepalivedHome, pid: number): boolean {
  return commandLine(pid)?.join('\0') === commandOf(home).join('\0')
}

const isStopped = (pid: number): boolean => ['T', 't'].includes(processStat(pid)?.state ?? '')

async function spawn(home: KeepalivedHome, namespaceFd: number): Promise<Started> {
  const env = { TMPDIR: home.pathOf(homeFiles.dumpDirectory) }
  try {
    return await spawnDetached(commandOf(home), { namespaceFd, env })
  } catch (cause) {
    const missing = cause instanceof KeepwardError && cause.code === 'command-missing'
    throw new KeepwardError(missing ? 'keepalived-missing' : 'keepalived-failed', 'Cannot start keepalived', { cause })
  }
}

function openChild(process: ProcessHandle): ProcessHandle | undefined {
  const pid = process.alive() ? childrenOf(process.pid)[0] : undefined
  return pid === undefined ? undefined : openProcess(pid)
}

/** A stopped process gets SIGTERM only once it continues. */
async function endOrderly(process: ProcessHandle, child: ProcessHandle | undefined, graceMs: number): Promise<boolean> {
  process.signal('SIGTERM')
  process.signal('SIGCONT')
  child?.signal('SIGCONT')
  const deadline = performance.now() + graceMs
  if (!(await process.ended(graceMs))) return false
  return child === undefined || child.ended(Math.max(1, deadline - performance.now()))
}

/** The parent first: it would start the child again. */
async function killBoth(process: ProcessHandle, child: ProcessHandle | undefined): Promise<void> {
  for (const one of [process, child]) {
    one?.signal('SIGKILL')
    if (one !== undefined && !(await one.ended(2000))) {
      throw new KeepwardError('keepalived-failed', `keepalived ${one.pid} outlives SIGKILL`, {
        hint: 'the kernel holds it; see /proc/PID/stack',
      })
    }
  }
}
