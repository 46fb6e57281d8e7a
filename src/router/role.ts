import type { Instant } from '../base/instant.ts'

/**
 * What this instance is now. RFC 9568 says Active, Backup and Initialize; keepalived and Neutron have words of their
 * own, translated in the rooms that talk to them.
 */
export const roles = ['primary', 'backup', 'fault', 'unknown'] as const
export type Role = (typeof roles)[number]

/** A role held: since when, and why it was taken. */
export interface RoleHeld {
  readonly role: Role
  readonly since: Instant
  /** When it last became primary, or ceased to be. */
  readonly turned: Instant
  readonly cause: Cause
}

export const causeKinds = ['kernel', 'keepalived', 'recheck', 'start', 'operator'] as const

/** Why a role changed, for a person; `kind` names the witness. */
export interface Cause {
  readonly kind: (typeof causeKinds)[number]
  readonly text: string
}
