import type { Instant } from '../base/instant.ts'
import type { ConditionChange } from './condition.ts'
import type { HookRun } from './hook.ts'
import type { Step } from './operation.ts'
import type { Run } from './reaction.ts'
import type { Cause, Role } from './role.ts'

/** Everything that the core may ask for. Executors are a table keyed by `type`, so a missing one does not compile. */
export type RouterEffect =
  /** Write a transition down; what follows the role waits until it is durable, at most 100 ms. */
  | { readonly type: 'record-transition'; readonly transition: Transition }
  | { readonly type: 'record-condition'; readonly change: ConditionChange }
  /** Ask keepalived for its own view; one question at a time, a later one is joined to it. */
  | { readonly type: 'ask-keepalived' }
  /** Ask the kernel again; a question that waits is joined. */
  | { readonly type: 'recheck-kernel' }
  /** Look again at the processes, or at them and everything else that the plan is made from. */
  | { readonly type: 'inspect'; readonly depth: 'processes' | 'all' }
  /** Run these operations in order until one fails; one list at a time per router. */
  | { readonly type: 'perform'; readonly steps: readonly Step[] }
  /** Have a reaction take its stance; what another run of the router does is cancelled. */
  | { readonly type: 'react'; readonly run: Run }
  /** Have a hook hear the news. */
  | { readonly type: 'run-hook'; readonly run: HookRun }
  /** Send the event `woken` after so long; a later wake replaces an earlier one. */
  | { readonly type: 'wake'; readonly afterMs: number }

/** A change of role, as the journal keeps it. */
export interface Transition {
  readonly from: Role
  readonly to: Role
  /** When the evidence for it was seen. */
  readonly at: Instant
  /** How long `from` had been held; undefined where another boot or a lost journal hides it. */
  readonly lastedMs: number | undefined
  readonly cause: Cause
}
