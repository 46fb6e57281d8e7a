import type { Secret } from '../base/secret.ts'
import type { Clock, Instant } from '../base/instant.ts'
import type { RouterId } from '../router/spec.ts'
import type { Audit, Limit } from './audit.ts'
import { Buckets, type Rate } from '../base/bucket.ts'
import { Freshness, type Moment } from './freshness.ts'
import { gatherMs, Lanes } from './lanes.ts'
import type { Message } from './message.ts'
import { Patience } from './patience.ts'
import { isTrusted, mayEverSpeak, rightOf, type Policy, type Right, type Sender } from './policy.ts'
import type { RefusalCode } from './refusal.ts'
import { isSignedBy } from './signature.ts'

export interface Limits {
  /** Of each uid that is root or the agent's own, and of each other one. */
  readonly trusted: Rate
  readonly others: Rate
  readonly perRouter: Rate
}

/** A message as the agent gets it. */
export interface Claim {
  readonly router: RouterId
  readonly state: Message['state']
  readonly sender: Sender
  /** Path of the sender's control group. */
  readonly controlGroup: string
  /** Key that it was signed with. */
  readonly key: string | undefined
  readonly sequence: bigint | undefined
  /** How often the notifier says that it speaks. */
  readonly intervalMs: number | undefined
  /** By what right, or over which limit when the record stands for several messages. */
  readonly reason: string
  /** How many messages this record stands for. */
  readonly count: number
  readonly at: Instant
}

/** The agent, as the receiver needs it. */
export interface Listener {
  knows(router: RouterId): boolean
  /** Whether records become durable at the moment. */
  canRecord(): boolean
  /** Write the claim down and act on it; resolves once it is durable, rejects when it never will be. */
  take(claim: Claim): Promise<unknown>
  /** Look at the kernel of these routers, since what was said of them may not have been heard in full. */
  lookAt(router: RouterId | 'all'): void
}

export interface ReceiverParts {
  readonly policy: Policy
  readonly limits: Limits
  readonly unknownRouters: 'compatible' | 'strict'
  /** The secrets that speak under a key of that id. */
  secretsOf(key: string): readonly Secret[]
  readonly listener: Listener
  readonly audit: Audit
  readonly boot: string
  readonly clock: Clock
  /** CLOCK_BOOTTIME in milliseconds. */
  readonly bootMs: () => number
}

/** `taken`: 200. A refusal has its own status. */
export type Answer = 'taken' | RefusalCode

/** Neutron's monitors wait for ever, and other senders for some seconds: an answer is due within 2 s of the message. */
const patienceMs = 1800
/** One who may not speak, and asks again and again, waits so long for each refusal. */
export const refusalPauseMs = 500

/** Decides what becomes of each message: may it, is it new, is it too much; and has it written down. */
export class Receiver {
  readonly #parts: ReceiverParts
  readonly #fresh: Freshness
  readonly #trusted: Buckets<number>
  readonly #others: Buckets<number>
  readonly #routers: Buckets<RouterId>
  readonly #lanes: Lanes
  /** The newest native message of each router that is being written. */
  readonly #underWay = new Map<RouterId, { readonly sequence: bigint; readonly written: Promise<void> }>()
  readonly #patience = new Patience(patienceMs)
  #lookingAtAll: NodeJS.Timeout | undefined

  constructor(parts: ReceiverParts) {
    this.#parts = parts
    this.#fresh = new Freshness(parts.boot)
    this.#trusted = new Buckets(parts.limits.trusted, 16)
    this.#others = new Buckets(parts.limits.others, 1024)
    this.#routers = new Buckets(parts.limits.perRouter, 16_384)
    this.#lanes = new Lanes(parts.listener)
  }

  /** Messages that wait to be written down together. */
  get waiting(): number {
    return this.#lanes.waiting
  }

  /** A sequence that an earlier run of the agent took. */
  restore(router: RouterId, sequence: bigint): void {
    this.#fresh.take(router, sequence)
  }

  /** Drop what age alone refuses; called now and then. */
  sweep(): void {
    this.#fresh.sweep(this.#moment())
  }

  /** Whether one who is refused is to wait for it. */
  isFlooding(sender: Sender): boolean {
    return !isTrusted(this.#parts.policy, sender.uid) && !this.#others.take(sender.uid, this.#parts.clock().monoMs)
  }

  /**
   * A connection was made to wait or ended for a limit. What it would have said nobody knows: where it may have been heard of a
   * change, the kernel is asked.
   */
  exceeded(limit: Limit, sender: Sender, controlGroup: string): void {
    const { policy, audit, listener } = this.#parts
    audit.limited(limit, sender, controlGroup)
    if (!mayEverSpeak(policy, sender)) return
    // One look behind the last of a storm, not one for each: it is at every router.
    this.#lookingAtAll ??= setTimeout(() => {
      this.#lookingAtAll = undefined
      listener.lookAt('all')
    }, gatherMs).unref()
  }

  /** Never rejects, and answers within 2 s. */
  async receive(message: Message, sender: Sender, controlGroup: string): Promise<Answer> {
    const judged = this.#judge(message, sender)
    if ('refusal' in judged) {
      this.#parts.audit.refused(judged.refusal, sender, controlGroup, message)
      return judged.refusal
    }
    const now = this.#parts.clock()
    const { router, state, proof } = message
    const excess = this.#excess(router, sender, now.monoMs)
    if (excess !== undefined) {
      this.#parts.audit.limited(excess, sender, controlGroup, message)
      this.#parts.listener.lookAt(router)
      if (proof !== undefined) return 'rate-exceeded'
    }
    const claim: Claim = {
      router,
      state,
      sender,
      controlGroup,
      key: proof?.key,
      sequence: proof?.sequence,
      intervalMs: proof?.intervalS === undefined ? undefined : proof.intervalS * 1000,
      reason: excess === undefined ? judged.right : `${excess}-limit`,
      count: 1,
      at: now,
    }
    if (proof !== undefined) {
      const answer = await this.#takeNative(claim, proof.sequence)
      if (answer !== 'taken') this.#parts.audit.refused(answer, sender, controlGroup, message)
      return answer
    }
    const durable = excess === undefined ? this.#parts.listener.take(claim) : this.#lanes.join(claim)
    // In memory and marked late when the disk is slower; the kernel is looked at in any case.
    await this.#patience.settled(durable)
    return 'taken'
  }

  async #takeNative(claim: Claim, sequence: bigint): Promise<Answer> {
    if (!this.#parts.listener.canRecord()) {
      this.#parts.listener.lookAt(claim.router)
      return 'journal-unavailable'
    }
    const { router } = claim
    const ahead = this.#underWay.get(router)
    if (ahead !== undefined && sequence <= ahead.sequence) {
      return (await this.#patience.settled(ahead.written)) === 'durable' ? 'superseded' : 'journal-unavailable'
    }
    // Later than its answer too: when it comes again, it is superseded.
    const written = this.#parts.listener.take(claim).then(() => {
      this.#fresh.take(router, sequence)
    })
    const own = { sequence, written }
    this.#underWay.set(router, own)
    const forget = () => {
      if (this.#underWay.get(router) === own) this.#underWay.delete(router)
    }
    written.then(forget, forget)
    return (await this.#patience.settled(written)) === 'durable' ? 'taken' : 'journal-unavailable'
  }

  #judge({ router, state, proof }: Message, sender: Sender): { right: Right } | { refusal: RefusalCode } {
    const { policy, listener, unknownRouters } = this.#parts
    if (proof !== undefined && !this.#isSigned(proof)) {
      return { refusal: 'signature-wrong' }
    }
    const right = rightOf(policy, sender, { router, state, key: proof?.key })
    if (right === undefined) return { refusal: 'sender-refused' }
    if (unknownRouters === 'strict' && !listener.knows(router)) return { refusal: 'router-unknown' }
    const refusal = proof === undefined ? undefined : this.#fresh.judge(router, proof, this.#moment())
    return refusal === undefined ? { right } : { refusal }
  }

  /** Each secret is tried, so that the time taken does not tell which. */
  #isSigned(proof: NonNullable<Message['proof']>): boolean {
    const tried = this.#parts.secretsOf(proof.key).map((secret) => isSignedBy(secret, proof, proof.signature))
    return tried.includes(true)
  }

  #moment(): Moment {
    return { wallMs: this.#parts.clock().wallMs, bootMs: this.#parts.bootMs() }
  }

  #excess(router: RouterId, sender: Sender, nowMs: number): 'sender' | 'router' | undefined {
    const senders = isTrusted(this.#parts.policy, sender.uid) ? this.#trusted : this.#others
    if (!senders.take(sender.uid, nowMs)) return 'sender'
    return this.#routers.take(router, nowMs) ? undefined : 'router'
  }
}
