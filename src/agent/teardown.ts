import type { Clock } from '../base/instant.ts'
import { KeepwardError } from '../base/error.ts'
import type { RouterQueue } from './router-queue.ts'
import { isGone } from './router-set.ts'

/** How long `--teardown` may take in all. */
const teardownMs = 60_000
const lookMs = 20

/** Resolves once nothing is left of any router. Throws `host-failed` when something is, after 60 s. */
export async function untilGone(routers: { readonly queues: readonly RouterQueue[] }, clock: Clock): Promise<void> {
  const deadline = clock().monoMs + teardownMs
  const left = () => routers.queues.filter(({ router }) => !isGone(router)).map(({ id }) => id)
  while (left().length > 0) {
    if (clock().monoMs > deadline)
      throw new KeepwardError('host-failed', `Teardown did not finish in 60 s; still there: ${left().join(', ')}`)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}
