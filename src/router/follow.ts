import type { Instant } from '../base/instant.ts'
import type { RouterEffect } from './effect.ts'
import { countFlaps } from './flap.ts'
import { nextHook } from './hook.ts'
import { nextRun } from './reaction.ts'
import { shownRole, type Router } from './router.ts'

/** Have what follows the role follow it. */
export function follow(router: Router, now: Instant, effects: RouterEffect[]): Router {
  const { run } = nextRun(router, shownRole(router), now)
  if (run === undefined) return router
  effects.push({ type: 'react', run })
  return { ...router, reactions: { ...router.reactions, underWay: run, runs: run.number } }
}

/** Count the changes of role that this step made. */
export function withFlaps(router: Router, effects: readonly RouterEffect[], now: Instant): Router {
  if (router.wanted === undefined) return router
  const changed = effects.flatMap((effect) => (effect.type === 'record-transition' ? [effect.transition] : []))
  return { ...router, flaps: countFlaps(router.flaps, router.wanted.flaps, changed, now) }
}

/** Have the next hook hear the news. */
export function tellHooks(router: Router, now: Instant, effects: RouterEffect[]): Router {
  const { hooks, run } = nextHook(router, now)
  if (run === undefined) return hooks === router.hooks ? router : { ...router, hooks }
  effects.push({ type: 'run-hook', run })
  return { ...router, hooks: { ...hooks, underWay: run, runs: run.number } }
}
