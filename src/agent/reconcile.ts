import type { Host } from '../host/operation.ts'
import type { RouterQueue } from './router-queue.ts'
import type { RouterSet } from './router-set.ts'

/** A turn looks at few routers, so that an event which comes meanwhile does not wait for all of them. */
const turnMs = 15

/**
 * Ask the kernel again, router after router, each once per `intervalMs`. Returns how to stop.
 */
export function startReconciling(host: Host, routers: RouterSet, intervalMs: number): () => void {
  let pass: RouterQueue[] = []
  let owed = 0
  const timer = setInterval(() => {
    if (pass.length === 0) {
      routers.sweep()
      pass = [...routers.queues]
    }
    // The share of all routers that falls into one turn; fractions are carried over.
    owed += (routers.size * turnMs) / intervalMs
    for (; owed >= 1; owed -= 1) {
      const queue = pass.shift()
      if (queue !== undefined) recheck(host, queue)
    }
  }, turnMs)
  return () => {
    clearInterval(timer)
  }
}

function recheck(host: Host, queue: RouterQueue): void {
  if (queue.closed) return
  void queue.attempt(() => host.recheck(queue.id))
  queue.enqueue({ type: 'recheck' })
}
