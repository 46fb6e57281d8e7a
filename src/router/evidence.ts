import type { Prefix } from '../base/address.ts'
import type { Instant } from '../base/instant.ts'
import type { HeardEvidence } from './hook.ts'
import type { ReactionEvidence } from './reaction.ts'

/** What the kernel shows of a router's namespace. */
export type KernelEvidence =
  | { readonly kind: 'unseen' }
  | { readonly kind: 'absent'; readonly reason: string; readonly asOf: Instant }
  | {
      readonly kind: 'present'
      readonly interfaces: ReadonlyMap<string, ObservedInterface>
      /** The namespace's name leads to it; removed behind our back, keepalived lives on in a nameless one. */
      readonly named: boolean
      readonly asOf: Instant
    }

export interface ObservedInterface {
  /** Set up by an administrator (IFF_UP). */
  readonly up: boolean
  /** The other end is there, and the link is in operation (IFF_LOWER_UP and IFF_RUNNING). */
  readonly carrier: boolean
  /** Bears our alias: we made it and may remove it. */
  readonly ours: boolean
  readonly mtu: number
  readonly macAddress: string
  readonly addresses: readonly ObservedAddress[]
}

export interface ObservedAddress extends Prefix {
  /** Bears our protocol number (IFA_PROTO): we added it and may remove it. */
  readonly ours: boolean
}

/** Set up and in operation; undefined when it is not there. */
export function linkWorks(kernel: KernelEvidence, name: string): boolean | undefined {
  const link = kernel.kind === 'present' ? kernel.interfaces.get(name) : undefined
  return link === undefined ? undefined : link.up && link.carrier
}

/** keepalived's two processes, as /proc and their pidfds show them. */
export type ProcessEvidence =
  | { readonly kind: 'unseen' }
  | { readonly kind: 'absent'; readonly asOf: Instant }
  | {
      readonly kind: 'running'
      readonly pid: number
      /** The VRRP child; undefined while keepalived is replacing it. */
      readonly childPid: number | undefined
      /** Either process is in state T (stopped by a signal). */
      readonly stopped: boolean
      /**
       * It holds no socket that adverts go through, as its HA interface was removed under it: it says backup for ever,
       * also when another interface of that name comes. A reload opens them.
       */
      readonly deaf: boolean
      /** In the agent's own control group: a service manager that ends the agent ends it too. */
      readonly tied: boolean
      readonly startedAt: Instant
      /** Digest of the config text that it started with or last reloaded. */
      readonly loadedDigest: string | undefined
      readonly asOf: Instant
    }

/** keepalived's own view, asked (never remembered from its notify FIFO). */
export type AnswerEvidence =
  | { readonly kind: 'none' }
  | { readonly kind: 'said'; readonly says: Says; readonly priority: number; readonly asOf: Instant }
  | {
      readonly kind: 'silent'
      readonly since: Instant
      readonly asOf: Instant
      readonly before: Says | undefined
      /** What hindered the question. */
      readonly why: string
    }

export type Says = 'primary' | 'backup' | 'fault' | 'starting'

/** What the root half found on disk and in the namespace, beyond what the kernel watch sees. */
export type SettingsEvidence =
  | { readonly kind: 'unseen' }
  | {
      readonly kind: 'seen'
      readonly namespaceReady: boolean
      /** Digest of the config that the wanted router renders to. */
      readonly wantedDigest: string
      /** Digest of the config file that is there. */
      readonly writtenDigest: string | undefined
      /** What taking over the wanted config would mean for the running keepalived. */
      readonly change: ConfigChange
      /** Interfaces that hang on another bridge, parent or kind than wanted. */
      readonly misattached: readonly string[]
      readonly filter: FilterEvidence
      /** Those that are wanted, and those that are there. */
      readonly reactions: readonly ReactionEvidence[]
      /** What hooks heard last. */
      readonly hooks: readonly HeardEvidence[]
      readonly asOf: Instant
    }

/** The rules that let only declared peers speak VRRP to this instance. */
export type FilterEvidence =
  /** In force as wanted; and who was turned away of late. */
  | { readonly kind: 'ready'; readonly strangers: readonly Stranger[] }
  /** Not there, or not as wanted. `failure`: why it could not be made the last time. */
  | { readonly kind: 'missing'; readonly failure: { readonly why: string; readonly at: Instant } | undefined }

/** A source of adverts that is no declared peer, or whose adverts came from too far away. */
export interface Stranger {
  readonly source: string
  readonly interface: string
  readonly packets: number
  readonly lastSeen: Instant
}

export type ConfigChange = 'none' | 'hitless' | 'may-move-role'
