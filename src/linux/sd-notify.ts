import { native } from './native.ts'

/**
 * Tells the service manager (sd_notify(3)), e.g. `READY=1`, `WATCHDOG=1`, `STATUS=...`. Returns false when none asked to
 * be told, or it does not listen: its absence never disturbs the agent.
 */
export function notifyServiceManager(state: string, socket = process.env['NOTIFY_SOCKET']): boolean {
  if (socket === undefined || !(socket.startsWith('/') || socket.startsWith('@'))) return false
  try {
    native().sdNotify(socket, state)
    return true
  } catch {
    return false
  }
}

/** Says `WATCHDOG=1` as often as is due, from a turn of the event loop: a process that hangs says nothing. Returns how to stop. */
export function feedWatchdog(): () => void {
  const everyMs = watchdogIntervalMs()
  const timer =
    everyMs === undefined ? undefined : setInterval(() => notifyServiceManager('WATCHDOG=1'), everyMs).unref()
  return () => {
    clearInterval(timer)
  }
}

/** How often `WATCHDOG=1` is due: half of what the service manager allows; undefined when it does not watch us. */
export function watchdogIntervalMs(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const allowedUs = Number(env['WATCHDOG_USEC'])
  const ours = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === process.pid
  return ours && Number.isSafeInteger(allowedUs) && allowedUs > 0 ? allowedUs / 2000 : undefined
}
