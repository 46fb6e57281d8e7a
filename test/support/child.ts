import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** Ends it as a service manager would, unless it has ended; resolves when it has. */
export async function endChild(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
