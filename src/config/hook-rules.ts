import type { Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { valueAt } from './schema-findings.ts'

/** Whom a hook must not run as: root may do everything, and the agent's user may ask root's half. */
export function checkHooks(config: unknown, routers: readonly RouterDraft[], review: Review): void {
  const agent = valueAt(config, ['agent', 'user']) ?? 'keepward'
  for (const { hooks, path } of routers) {
    hooks.forEach((hook, at) => {
      const where = [...path, 'hooks', at, 'user']
      if (hook?.user === 'root') review.tell(where, 'is "root", must be a user without privileges')
      else if (hook !== undefined && hook.user === agent)
        review.tell(where, `is ${JSON.stringify(hook.user)}, must not be the agent’s user, who may ask keepward-host`)
    })
  }
}
