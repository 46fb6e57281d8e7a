import type { RouterId } from '../router/spec.ts'
import type { RefusalCode } from './refusal.ts'
import type { Proof } from './signature.ts'

/** A message older than this is refused, and so is a clock that differs by more. */
export const maxSkewMs = 60_000
/** Two clocks of one host are read one after the other. */
const maxAheadMs = 1000

/** This host's clocks. */
export interface Moment {
  /** Unix time. */
  readonly wallMs: number
  /** CLOCK_BOOTTIME. */
  readonly bootMs: number
}

/**
 * Which native messages are new: of each router only a sequence above the last that was taken. Sequences are times since boot, so
 * one that is too old or of the future is refused without any memory, and a restart of the agent opens at most
 * the last minute to a replay, which `restore` closes.
 */
export class Freshness {
  readonly #boot: string
  readonly #taken = new Map<RouterId, bigint>()

  constructor(boot: string) {
    this.#boot = boot
  }

  judge(router: RouterId, proof: Proof, now: Moment): RefusalCode | undefined {
    if (proof.boot !== this.#boot) return 'boot-differs'
    const sequenceMs = Number(proof.sequence / 1_000_000n)
    if (Math.abs(proof.sentMs - now.wallMs) > maxSkewMs || sequenceMs > now.bootMs + maxAheadMs) return 'clock-skewed'
    if (sequenceMs < now.bootMs - maxSkewMs || proof.sequence <= (this.#taken.get(router) ?? -1n)) return 'superseded'
    return undefined
  }

  /** A message was made durable. */
  take(router: RouterId, sequence: bigint): void {
    if (sequence > (this.#taken.get(router) ?? -1n)) this.#taken.set(router, sequence)
  }

  /** Forget what the age alone refuses by now. */
  sweep(now: Moment): void {
    for (const [router, sequence] of this.#taken) {
      if (Number(sequence / 1_000_000n) < now.bootMs - maxSkewMs) this.#taken.delete(router)
    }
  }
}
