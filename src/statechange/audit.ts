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

/** What a limit was hit by: messages of one sender or of one router, connections, requests ahead of their answers, or slowness. */
export type Limit = 'sender' | 'router' | 'connections' | 'requests' | 'deadline'

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
  denied(what: 'connect' | 'change', sender: Sender | undefined): void {
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
