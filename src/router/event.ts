import type { AnswerEvidence, KernelEvidence, ProcessEvidence, SettingsEvidence, Says } from './evidence.ts'
import type { News } from './hook.ts'
import type { NotifierClaim } from './notifier.ts'
import type { Outcome, RouterOperation } from './operation.ts'
import type { ReactionName, RunOutcome } from './reaction.ts'
import type { RouterSpec } from './spec.ts'

/** Everything that can happen to a router. Each is evidence, or a hint to look; none says the role. */
export type RouterEvent =
  /** The config wants the router so; undefined: it wants it no more. */
  | { readonly type: 'wanted'; readonly spec: RouterSpec | undefined }
  | { readonly type: 'kernel'; readonly evidence: KernelEvidence; readonly from: 'watch' | 'recheck' }
  | { readonly type: 'process'; readonly evidence: ProcessEvidence }
  | { readonly type: 'settings'; readonly evidence: SettingsEvidence }
  /** Processes and settings could not be looked at. */
  | { readonly type: 'look-failed'; readonly text: string }
  | { readonly type: 'answer'; readonly evidence: Exclude<AnswerEvidence, { kind: 'none' }> }
  /** A line of the notify FIFO: it only says when to ask. */
  | { readonly type: 'notified'; readonly says: Says | 'stopped' }
  /** A notifier outside says what the router is. */
  | { readonly type: 'claimed'; readonly claim: NotifierClaim }
  | { readonly type: 'performed'; readonly operation: RouterOperation; readonly outcome: Outcome }
  /** A run of a reaction ended. */
  | { readonly type: 'reacted'; readonly number: number; readonly outcome: RunOutcome }
  /** A change of role is on the disk, or is told again, for hooks that have not heard it. */
  | { readonly type: 'recorded'; readonly news: News }
  /** A run of a hook ended. */
  | { readonly type: 'hook-ended'; readonly number: number; readonly outcome: Outcome }
  /** The service of a reaction died behind our back. */
  | { readonly type: 'service-ended'; readonly reaction: ReactionName }
  /** Our own work for this router failed in a way that nobody foresaw. */
  | { readonly type: 'defect'; readonly text: string }
  /** The slow pass: ages are looked at, keepalived is asked again. */
  | { readonly type: 'recheck' }
  /** A moment that the core asked for with the effect `wake`. */
  | { readonly type: 'woken' }
