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

interface Tally {
  /** The newest. */
  entry: AuditEntry
  count: number
}

/** What a limit was hit by: messages of one sender or of one router, connections, requests ahead of their answers, or slowness. */
export type Limit = 'sender' | 'router' | 'connections' | 'requests' | 'deadline'

/** The first of a kind is written at once, the rest of the same ten seconds as one record. */
const periodMs = 10_000
/** Kinds at once; beyond, they are counted together. */
const maxKinds = 256

/**
 * The record of all that was refused or limited. A kind is a reason, a uid and a router that is known: what a stranger writes
 * into its headers must not make records by itself.
 */
export class Audit {
  readonly #write: (entry: AuditEntry) => void
  readonly #knows: (router: RouterId) => boolean
  readonly #tallies = new Map<string, Tally>()
  readonly #timer: NodeJS.Timeout

  constructor(write: (entry: AuditEntry) => void, knows: (router: RouterId) => boolean) {
    this.#write = write
    this.#knows = knows
    this.#timer = setInterval(() => {
      this.#settle()
    }, periodMs).unref()
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
    clearInterval(this.#timer)
    this.#settle()
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
    const tally = this.#tallies.get(kind) ?? this.#open(kind, entry)
    if (tally === undefined) return
    tally.count += 1
    if (tally.entry.reason === reason) tally.entry = entry
  }

  /** Undefined when the entry was written as the first of its kind. */
  #open(kind: string, entry: AuditEntry): Tally | undefined {
    const full = this.#tallies.size >= maxKinds
    const rest = full ? this.#tallies.get('rest') : undefined
    if (rest !== undefined) return rest
    this.#tallies.set(full ? 'rest' : kind, { entry: full ? { ...entry, reason: 'many' } : entry, count: 0 })
    this.#write(entry)
    return undefined
  }

  #settle(): void {
    for (const [kind, { entry, count }] of this.#tallies) {
      if (count === 0) this.#tallies.delete(kind)
      else this.#tallies.set(kind, { entry, count: 0 })
      if (count > 0) this.#write({ ...entry, count })
    }
  }
}
