import { uptime } from 'node:os'
import { childrenOf, processStat, type ProcessHandle } from '../linux/process.ts'
import { statusWords } from '../linux/process-status.ts'

/**
 * The pid of the vrrp child, once the parent and it take `signal`. keepalived reads its signals from a signalfd, and
 * until it has blocked them the default action holds: SIGHUP or the dump signal ends a keepalived that just started
 * (seen up to 30 ms after its start), and its child for 0.1 ms after each fork, hence the age.
 */
export function childReadyFor(process: ProcessHandle, signal: number): number | undefined {
  const known = ready.get(process)
  if (known?.signal === signal && isChild(process, known)) return known.child
  const child = childrenOf(process.pid)[0]
  if (child === undefined || !takes(process.pid, signal) || !takes(child, signal)) return undefined
  const startTicks = processStat(child)?.startTicks
  if (startTicks === undefined || uptime() * ticksPerSecond - startTicks < settledTicks) return undefined
  ready.set(process, { child, startTicks, signal })
  return child
}

interface Ready {
  readonly child: number
  readonly startTicks: number
  readonly signal: number
}

/** The last child of each that was found ready: it blocks its signals as long as it lives. */
const ready = new WeakMap<ProcessHandle, Ready>()

function isChild(process: ProcessHandle, { child, startTicks }: Ready): boolean {
  const stat = processStat(child)
  return stat?.parentPid === process.pid && stat.startTicks === startTicks && stat.state !== 'Z'
}

/** USER_HZ, the same on every architecture that we run on. */
const ticksPerSecond = 100
const settledTicks = 3

/** Blocked or caught; proc_pid_status(5). */
function takes(pid: number, signal: number): boolean {
  return statusWords(pid, 'SigBlk', 'SigCgt').some(
    ([mask]) => mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n,
  )
}
