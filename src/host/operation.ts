import type { AnswerEvidence, KernelEvidence, ProcessEvidence, Says, SettingsEvidence } from '../router/evidence.ts'
import type { News } from '../router/hook.ts'
import type { RouterOperation } from '../router/operation.ts'
import type { ReactionEvidence, ReactionName, Stance } from '../router/reaction.ts'
import type { HookRole, RouterId, RouterSpec } from '../router/spec.ts'
import type { InterfaceAddress, Link } from '../linux/rtnetlink.ts'

/**
 * Everything that needs root, as one closed union. An operation names a router and a verb, and at most an interface that
 * the config declares or a word of a closed list; never text, a path, arguments or a pid. What else is needed comes from the config.
 */
export type HostOperation =
  | (RouterOperation & { readonly router: RouterId })
  | { readonly verb: 'inspect'; readonly router: RouterId }
  /** Only the processes, and only by what is held of them already: for the frequent pass. */
  | { readonly verb: 'glance'; readonly router: RouterId }
  /** What its namespace holds; the links only at depth `all`. */
  | { readonly verb: 'look'; readonly router: RouterId; readonly depth: 'all' | 'addresses' }
  /** As `inspect`, but against the staged table. */
  | { readonly verb: 'preview'; readonly router: RouterId }
  | { readonly verb: 'ask-keepalived'; readonly router: RouterId }
  /** Have a reaction take a stance; one of the router's that is under way ends with `reaction-cancelled`. */
  | { readonly verb: 'react'; readonly router: RouterId; readonly reaction: ReactionName; readonly stance: Stance }
  /** Have the hook at that place of the router's config hear the news, unless it has, or is another one by now. */
  | (News & {
      readonly verb: 'run-hook'
      readonly router: RouterId
      readonly hook: number
      /** {@link hookDigest}. */
      readonly digest: string
      readonly role: HookRole
    })
  | { readonly verb: 'list-owned' }

/** Done beside whatever else is done for the router: questions, and what follows the role in an order of its own. */
export const besides: ReadonlySet<HostOperation['verb']> = new Set(['ask-keepalived', 'look', 'react', 'run-hook'])

/** What each operation answers. The changing ones answer nothing: what they did is seen by looking. */
export interface HostAnswers {
  readonly 'ensure-namespace': undefined
  readonly 'ensure-interface': undefined
  readonly 'remove-interface': undefined
  /** What hinders is seen by looking: the router is to run then, too. */
  readonly 'ensure-table': undefined
  readonly 'write-config': undefined
  readonly 'start-keepalived': undefined
  readonly 'reload-keepalived': undefined
  readonly 'remove-router': undefined
  /** How it is then. */
  readonly react: ReactionEvidence['is']
  /** What it said, cut short. */
  readonly 'run-hook': string
  readonly look: NamespaceLook
  readonly inspect: Inspection
  readonly preview: Inspection
  readonly glance: ProcessEvidence
  readonly 'ask-keepalived': Exclude<AnswerEvidence, { kind: 'none' }>
  readonly 'list-owned': readonly OwnedRouter[]
}

export interface Inspection {
  readonly process: ProcessEvidence
  readonly settings: SettingsEvidence
}

/** A namespace that bears this agent's mark, found in the kernel whatever the state directory says. */
export interface OwnedRouter {
  readonly router: RouterId
  readonly namespace: string
}

/** A router's namespace, found by its name, or by its keepalived when the name is gone. */
export type NamespaceLook =
  | {
      readonly kind: 'present'
      /** By which the watch's socket knows it. */
      readonly nsid: number
      readonly inode: number
      readonly named: boolean
      readonly links: readonly Link[] | undefined
      readonly addresses: readonly InterfaceAddress[]
    }
  | { readonly kind: 'absent'; readonly reason: string }

/** Hints from the root half: each only says where to look. */
export type RootEvent =
  | { readonly type: 'ended'; readonly router: RouterId }
  | { readonly type: 'notified'; readonly router: RouterId; readonly says: Says | 'stopped' }
  /** A service that follows the role died. */
  | {
      readonly type: 'service-ended'
      readonly router: RouterId
      readonly reaction: ReactionName
      /** What it said, cut short; empty where nobody knows. */
      readonly lastWords: string
    }
  /** A line of the notify FIFO that was no line of keepalived. */
  | { readonly type: 'rejected' }
  /** What routers want of Vault cannot be had, and why; null: it can again. */
  | { readonly type: 'vault'; readonly trouble: string | null }
  /** The root half has read what it logs in with at Vault. */
  | { readonly type: 'vault-login' }

/** Hints from the host: each only says where to look. */
export type HostEvent =
  | Exclude<RootEvent, { type: 'rejected' | 'vault' | 'vault-login' }>
  | {
      readonly type: 'kernel'
      readonly router: RouterId
      readonly evidence: KernelEvidence
      readonly from: 'watch' | 'recheck'
    }

/** The routers of a config, and the SHA-256 of the text that says so: who reads the file for himself gets no more than that. */
export interface Table {
  readonly hash: string
  readonly routers: readonly RouterSpec[]
  /** Either half was started anew: what was in force before is wanted, and not what files beside the config say by now. */
  readonly again?: boolean | undefined
}

/** What needs root, wherever it runs. */
export interface RootHalf {
  /**
   * Take over the table of wanted routers; `nothing`: none is wanted. Operations on a router that is in neither this table
   * nor the kernel fail with `router-unknown`. Throws `config-changed` when the file is another one by now.
   */
  configure(table: Table | 'nothing'): Promise<void>
  /**
   * Take a table to compare with (`preview`), without acting on it. Throws `config-changed`, and what keeps the rules of an operator from
   * being put in force.
   */
  stage(table: Table): Promise<void>
  /** Errors: KeepwardError; a failed operation leaves what was there before, or a part that the next try completes. */
  perform<O extends HostOperation>(operation: O): Promise<HostAnswers[O['verb']]>
  /** Stop looking. Touches no namespace and no keepalived. */
  close(): Promise<void>
}

/** What the agent asks for; looks are taken by {@link Host.recheck}. */
export type AgentOperation = Exclude<HostOperation, { readonly verb: 'look' }>

/** A host, as the agent sees it: the root half, and an eye on the kernel. */
export interface Host extends Omit<RootHalf, 'perform'> {
  /** As {@link RootHalf.perform}. */
  perform<O extends AgentOperation>(operation: O): Promise<HostAnswers[O['verb']]>
  /**
   * Ask the kernel again now; ends with an event `kernel` whose `from` is `recheck`, unless nobody answers. Never rejects.
   */
  recheck(router: RouterId): Promise<void>
  /** Figures for the metrics. */
  counters(): HostCounters
}

export interface HostCounters {
  /** Times that the kernel dropped events for us, each followed by a full look. */
  readonly netlinkOverruns: number
  /** Rechecks that found something the watch had not told: 0 unless something is broken. */
  readonly recheckDifferences: number
  /** Lines of the notify FIFO that were no lines of keepalived. */
  readonly notifyRejected: number
}
