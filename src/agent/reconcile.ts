import type { Host } from '../host/operation.ts'
import type { RouterSet } from './router-set.ts'

/** The pass is cut into slices, so that 200 routers do not ask the kernel all at once. */
const slices = 20

/**
 * Ask the kernel again, router by router, all of them once per `intervalMs`. Returns how to stop.
 */
export function startReconciling(host: Host, routers: RouterSet, intervalMs: number): () => void {
  let slice = 0
  const timer = setInterval(() => {
    slice = (slice + 1) % slices
    if (slice === 0) routers.sweep()
    for (const [index, queue] of routers.queues.entries()) {
      if (index % slices !== slice) continue
      queue.attempt(() => {
        host.recheck(queue.id)
      })
      queue.enqueue({ type: 'recheck' })
    }
  }, intervalMs / slices)
  return () => {
    clearInterval(timer)
  }
}
