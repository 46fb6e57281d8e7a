import { describeError, KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import type { Journal } from '../journal/journal.ts'
import type { AnchorPoint } from '../anchor/anchor.ts'

export interface AnchoringParts {
  readonly journal: Pick<Journal, 'epoch' | 'tail' | 'status'>
  /** Of the root half. Answers why what it signed cannot be copied to syslog; undefined when it was, or nobody wants that. */
  readonly sign: (point: AnchorPoint) => Promise<string | undefined>
  readonly clock: Clock
  /** The end of the journal is not signed, and why; undefined: it is again. */
  readonly onTrouble: (text: string | undefined) => void
  readonly onCopyTrouble: (text: string | undefined) => void
}

const lookMs = 1000
/** A new record is signed this long after the last time at the latest, */
const everyMs = 5000
/** or after so many. */
const everyRecords = 1000
/** A root half that is started anew shows as that, not as this; and one asked too soon is asked again. */
const passing: readonly string[] = ['host-unreachable', 'request-invalid']
const patienceMs = 30_000
const finishMs = 2000
const finishLookMs = 20

/** Has root sign how far the journal has come, so that whoever owns the file cannot make it another one unseen. */
export class Anchoring {
  readonly #parts: AnchoringParts
  #timer: NodeJS.Timeout | undefined
  #signed: { readonly seq: number; readonly monoMs: number }
  #signing: Promise<void> | undefined

  constructor(parts: AnchoringParts) {
    this.#parts = parts
    this.#signed = { seq: 0, monoMs: parts.clock().monoMs }
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#isDue()) void this.sign()
    }, lookMs).unref()
  }

  /** Sign the end as it is now. What fails is said, and tried again. */
  sign(): Promise<void> {
    this.#signing ??= this.#sign().finally(() => {
      this.#signing = undefined
    })
    return this.#signing
  }

  /** The last records too, as far as they come to the disk soon. */
  async finish(): Promise<void> {
    clearInterval(this.#timer)
    const { journal, clock } = this.#parts
    const untilMs = clock().monoMs + finishMs
    while (journal.status.pending > 0 && clock().monoMs < untilMs)
      await new Promise((resolve) => setTimeout(resolve, finishLookMs))
    await this.#signing
    const late = new Promise((resolve) => setTimeout(resolve, finishMs).unref())
    if (journal.tail.seq > this.#signed.seq) await Promise.race([this.sign(), late])
  }

  #isDue(): boolean {
    const { journal, clock } = this.#parts
    const unsigned = journal.tail.seq - this.#signed.seq
    // The first at once: what an earlier life left unsigned waits for it.
    if (this.#signed.seq === 0) return unsigned > 0
    return unsigned > 0 && (unsigned >= everyRecords || clock().monoMs - this.#signed.monoMs >= everyMs)
  }

  async #sign(): Promise<void> {
    const { journal, sign, clock, onTrouble, onCopyTrouble } = this.#parts
    const { tail, epoch } = journal
    if (tail.seq === 0) return
    try {
      const copyTrouble = await sign({ ...epoch, ...tail })
      this.#signed = { seq: tail.seq, monoMs: clock().monoMs }
      onTrouble(undefined)
      onCopyTrouble(copyTrouble)
    } catch (error) {
      const passes = error instanceof KeepwardError && passing.includes(error.code)
      const sinceMs = clock().monoMs - this.#signed.monoMs
      if (!passes || sinceMs > patienceMs) onTrouble(`record ${tail.seq} is not signed: ${describeError(error)}`)
    }
  }
}
