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

/** By what right somebody speaks: for being root or our own user, by a rule of the config, or with the router's own key. */
export type Right = 'root' | 'own-user' | 'user-rule' | 'group-rule' | 'key-rule' | 'router-key'

/**
 * By what right this sender may say that; undefined when it may not. `key` is one whose signature was found right; the router's own key
 * speaks for that router. Who signs with the key of another router is mistaken or worse, be it root.
 */
export function rightOf(
  policy: Policy,
  sender: Sender,
  message: { readonly router: RouterId; readonly state: Role; readonly key: string | undefined },
): Right | undefined {
  const { router, state, key } = message
  if (key === router) return 'router-key'
  if (key !== undefined && !isNamed(policy, key)) return undefined
  if (sender.uid === 0) return 'root'
  if (sender.uid === policy.ownUid) return 'own-user'
  const rule = policy.rules.find(
    (one) =>
      fits(one, sender, key) &&
      (one.routers === 'all' || one.routers.has(router)) &&
      (one.states === 'all' || one.states.has(state)),
  )
  return rule && `${rule.who.kind}-rule`
}

/** Whether there is anything at all that it may say without a key. */
export const mayEverSpeak = (policy: Policy, sender: Sender): boolean =>
  isTrusted(policy, sender.uid) || policy.rules.some((rule) => fits(rule, sender, undefined))

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
