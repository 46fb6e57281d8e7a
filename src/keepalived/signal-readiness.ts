import { uptime } from 'node:os'
import { childrenOf, processStat, type ProcessHandle } from '../linux/process.ts'
import { statusWords } from './process-status.ts'

/**
 * The pid of the vrrp child, once the parent and it take `signal`. keepalived reads its signals from a signalfd, and
 * until it has blocked them the default action holds: SIGHUP or the dump signal ends a keepalived that just started
 * (seen up to 30 ms after its start), and its child for 0.1 ms after each fork, hence the age.
 */
export function childReadyFor(process: ProcessHandle, signal: number): number | undefined {
  const child = childrenOf(process.pid)[0]
  if (child === undefined || !takes(process.pid, signal) || !takes(child, signal)) return undefined
  const startTicks = processStat(child)?.startTicks
  return startTicks !== undefined && uptime() * ticksPerSecond - startTicks >= settledTicks ? child : undefined
}

/** USER_HZ, the same on every architecture that we run on. */
const ticksPerSecond = 100
const settledTicks = 3

/** Blocked or caught; proc_pid_status(5). */
function takes(pid: number, signal: number): boolean {
  return ['SigBlk', 'SigCgt'].some((label) => {
    const mask = statusWords(pid, label)[0]
    return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
  })
}
