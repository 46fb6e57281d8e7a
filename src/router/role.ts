import type { Instant } from '../base/instant.ts'

/**
 * What this instance is now. RFC 9568 says Active, Backup and Initialize; keepalived and Neutron have words of their
 * own, translated in the rooms that talk to them.
 */
export type Role = 'primary' | 'backup' | 'fault' | 'unknown'

/** A role held: since when, and why it was taken. */
export interface RoleHeld {
  readonly role: Role
  readonly since: Instant
  /** When it last became primary, or ceased to be. */
  readonly turned: Instant
  readonly cause: Cause
}

/** Why a role changed, for a person; `kind` names the witness. */
export interface Cause {
  readonly kind: 'kernel' | 'keepalived' | 'recheck' | 'start' | 'operator'
  readonly text: string
}
