import { uptime } from 'node:os'
import { processStat } from '../linux/process.ts'
import { holdsRawSocket } from '../linux/raw-socket.ts'

/** RFC 9568, 5.1.1.4. */
const vrrpProtocol = 112
/** A VRRP child that starts opens its sockets within some ms, on a busy machine later. */
const openedWithinSeconds = 2
/** USER_HZ, the unit of a process's start time (proc_pid_stat(5)). */
const ticksPerSecond = 100

/**
 * Whether the VRRP child holds none of the sockets that adverts go through. keepalived 2.2.7 closes them when their
 * interface is removed, and opens none when another of that name comes (with `dynamic_interfaces` neither); nor does it
 * after a reload under which its unicast source was not on the interface. It says backup then for ever; a reload opens
 * them.
 */
export function isDeaf(childPid: number): boolean {
  if (holdsRawSocket(childPid, vrrpProtocol)) return false
  const child = processStat(childPid)
  return (
    child !== undefined && child.state !== 'Z' && uptime() - child.startTicks / ticksPerSecond > openedWithinSeconds
  )
}
