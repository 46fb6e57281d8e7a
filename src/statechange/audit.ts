import { Tallies } from '../base/tally.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import type { Message, Unreadable } from './message.ts'
import type { Sender } from './policy.ts'
import type { RefusalCode } from './refusal.ts'

/** What stands in the journal of refusals and limits. */
export interface AuditEntry {
  /** `denied`: on the control socket. */
  readonly decision: 'refused' | 'limited' | 'denied' | 'socket-made-anew'
  readonly reason: string
  /** These are of the newest of them; router and state may be no more than what a sender wrote. */
  readonly sender: Sender | undefined
  readonly controlGroup: string | undefined
  readonly router: string | undefined
  readonly state: string | undefined
  readonly key: string | undefined
  /** How many this record stands for. */
  readonly count: number
}

/** What a limit was hit by: the reason is `sender-limit` and so on (docs/refusals.md is made from this). */
export const limits = {
  sender:
    'More messages a second than one user may send: a signed one was answered 429, others are taken in one record.',
  router: 'More messages a second than one router may have: as sender-limit.',
  connections: 'More connections than one user may have, or all users together: one had to wait, or was ended.',
  requests: 'A connection was ended that sent more requests ahead of their answers than may wait.',
  deadline: 'A connection was ended that had not sent a whole request in time.',
} as const
export type Limit = keyof typeof limits

/** What was denied on the control socket: the reason is `control-connect` and so on. */
export const denials = {
  connect: 'Who connected to the control socket may not even look, or the kernel did not say who it was.',
  change: 'Who may look at the control socket asked for a change.',
} as const

/**
 * The record of all that was refused or limited. A kind is a reason, a uid and a router that is known: what a stranger writes
 * into its headers must not make records by itself.
 */
export class Audit {
  readonly #write: (entry: AuditEntry) => void
  readonly #knows: (router: RouterId) => boolean
  readonly #tallies: Tallies<AuditEntry>

  constructor(write: (entry: AuditEntry) => void, knows: (router: RouterId) => boolean) {
    this.#write = write
    this.#knows = knows
    this.#tallies = new Tallies(write)
  }

  /** `said`: as far as it could be read. */
  refused(reason: RefusalCode, sender: Sender, controlGroup: string, said: Message | Unreadable | undefined): void {
    this.#note('refused', reason, sender, controlGroup, said)
  }

  limited(limit: Limit, sender: Sender, controlGroup: string, said?: Message): void {
    this.#note('limited', `${limit}-limit`, sender, controlGroup, said)
  }

  /** Somebody without the right to it asked the agent itself for something, or could not be named. */
  denied(what: keyof typeof denials, sender: Sender | undefined): void {
    this.#note('denied', `control-${what}`, sender, undefined, undefined)
  }

  /** Of our own doing: written each time. */
  note(reason: string): void {
    this.#write({
      decision: 'socket-made-anew',
      reason,
      sender: undefined,
      controlGroup: undefined,
      router: undefined,
      state: undefined,
      key: undefined,
      count: 1,
    })
  }

  /** Write what is counted and not written yet. */
  close(): void {
    this.#tallies.close()
  }

  #note(
    decision: 'refused' | 'limited' | 'denied',
    reason: string,
    sender: Sender | undefined,
    controlGroup: string | undefined,
    said: Message | Unreadable | undefined,
  ): void {
    const { router, state } = said ?? {}
    const key = said !== undefined && 'proof' in said ? said.proof?.key : undefined
    const entry = { decision, reason, sender, controlGroup, router, state, key, count: 1 }
    const id = router === undefined ? undefined : parseRouterId(router)
    const kind = `${reason} ${sender?.uid ?? 'nobody'} ${id !== undefined && this.#knows(id) ? id : ''}`
    this.#tallies.note(kind, entry)
  }
}
