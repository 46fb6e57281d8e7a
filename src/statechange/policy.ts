import type { Role } from '../router/role.ts'
import type { RouterId } from '../router/spec.ts'

/** Who sends, as the kernel says it. */
export interface Sender {
  readonly pid: number
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/** One right: who may say what of which routers. */
export interface Rule {
  readonly who:
    | { readonly kind: 'user'; readonly uid: number }
    | { readonly kind: 'group'; readonly gid: number }
    | { readonly kind: 'key'; readonly key: string }
  readonly routers: 'all' | ReadonlySet<RouterId>
  readonly states: 'all' | ReadonlySet<Role>
}

export interface Policy {
  /** The agent's own user; it and root may say everything. */
  readonly ownUid: number
  readonly rules: readonly Rule[]
}

export const isTrusted = (policy: Policy, uid: number): boolean => uid === 0 || uid === policy.ownUid

/** Whether anything depends on the groups of a sender. */
export const namesGroups = ({ rules }: Policy): boolean => rules.some(({ who }) => who.kind === 'group')

/**
 * Whether this sender may say that. `key` is one whose signature was found right; the router's own key speaks for that router. Who signs with
 * the key of another router is mistaken or worse, be it root.
 */
export function maySpeak(
  policy: Policy,
  sender: Sender,
  message: { readonly router: RouterId; readonly state: Role; readonly key: string | undefined },
): boolean {
  const { router, state, key } = message
  if (key === router) return true
  if (key !== undefined && !isNamed(policy, key)) return false
  if (isTrusted(policy, sender.uid)) return true
  return policy.rules.some(
    (rule) =>
      fits(rule, sender, key) &&
      (rule.routers === 'all' || rule.routers.has(router)) &&
      (rule.states === 'all' || rule.states.has(state)),
  )
}

/** All other keys are those of routers. */
const isNamed = ({ rules }: Policy, key: string): boolean =>
  rules.some(({ who }) => who.kind === 'key' && who.key === key)

function fits({ who }: Rule, sender: Sender, key: string | undefined): boolean {
  switch (who.kind) {
    case 'user':
      return who.uid === sender.uid
    case 'group':
      return who.gid === sender.gid || sender.groups.includes(who.gid)
    case 'key':
      return who.key === key
  }
}
