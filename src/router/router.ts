import type { Instant } from '../base/instant.ts'
import type { Raised } from './condition.ts'
import type { AnswerEvidence, KernelEvidence, ProcessEvidence, SettingsEvidence } from './evidence.ts'
import { noFlaps, type Flaps } from './flap.ts'
import { noHooks, type Hooks } from './hook.ts'
import type { Notifier } from './notifier.ts'
import type { Step } from './operation.ts'
import { noReactions, type Reactions } from './reaction.ts'
import type { Role, RoleHeld } from './role.ts'
import type { RouterId, RouterSpec } from './spec.ts'

/** Everything that the core knows of one router on this host. A value: `step` makes the next one. */
export interface Router {
  readonly id: RouterId
  /** When this run of the agent took it up. */
  readonly knownSince: Instant
  readonly wanted: RouterSpec | undefined
  readonly kernel: KernelEvidence
  /** The marker on its interface, and since when it is so. */
  readonly marker: Marker
  readonly process: ProcessEvidence
  readonly answer: AnswerEvidence
  readonly settings: SettingsEvidence
  /** Why processes and settings could not be looked at the last time. */
  readonly lookFailure: string | undefined
  /** The last failure of our own work for it that nobody foresaw. */
  readonly defect: { readonly text: string; readonly at: Instant } | undefined
  /** Undefined: none has spoken. */
  readonly notifier: Notifier | undefined
  readonly role: RoleState
  /** Services that follow the role. */
  readonly reactions: Reactions
  readonly flaps: Flaps
  /** Programs that hear of the role. */
  readonly hooks: Hooks
  readonly raised: Raised
  readonly work: Work
  readonly supervision: Supervision
}

export interface Marker {
  readonly present: boolean
  readonly since: Instant
}

export type RoleState =
  /** Since its start the agent has not seen enough to decide; `recorded` is what the journal last said. */
  | { readonly kind: 'undecided'; readonly since: Instant; readonly recorded: Recorded | undefined }
  | { readonly kind: 'held'; readonly held: RoleHeld }

/** The last transition that an earlier run of the agent made durable. */
export interface Recorded {
  readonly role: Role
  readonly since: Instant
  /** Written in this boot: monotonic times compare. */
  readonly sameBoot: boolean
}

export type Work =
  | { readonly kind: 'idle'; readonly last: LastWork | undefined }
  | { readonly kind: 'performing'; readonly steps: readonly Step[]; readonly last: LastWork | undefined }

/** How the last list of steps ended; nothing, once there is nothing left to do. */
export interface LastWork {
  /** Undefined: it ended well. */
  readonly failure: { readonly code: string; readonly text: string } | undefined
  /** The list as text: the same list again, after it ended well, means that it had no effect. */
  readonly steps: string
  readonly tries: number
  readonly notBeforeMonoMs: number
}

/** What our own restarts of keepalived have come to. */
export interface Supervision {
  /** Deaths of both processes in a row, each within a minute of its start. */
  readonly deaths: number
  readonly startNotBeforeMonoMs: number
  readonly lastReloadMonoMs: number | undefined
  /** The VRRP child died, and the one that keepalived put in its place has not answered yet. */
  readonly childReplaced: boolean
}

export function newRouter(id: RouterId, recorded: Recorded | undefined, now: Instant): Router {
  return {
    id,
    knownSince: now,
    wanted: undefined,
    kernel: { kind: 'unseen' },
    marker: { present: false, since: now },
    process: { kind: 'unseen' },
    answer: { kind: 'none' },
    settings: { kind: 'unseen' },
    lookFailure: undefined,
    defect: undefined,
    notifier: undefined,
    role: { kind: 'undecided', since: now, recorded },
    reactions: noReactions,
    flaps: noFlaps,
    hooks: noHooks,
    raised: new Map(),
    work: { kind: 'idle', last: undefined },
    supervision: { deaths: 0, startNotBeforeMonoMs: 0, lastReloadMonoMs: undefined, childReplaced: false },
  }
}

/** The role to show: an undecided one is unknown. */
export function shownRole(router: Router): Role {
  return router.role.kind === 'held' ? router.role.held.role : 'unknown'
}
