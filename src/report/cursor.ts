import type { Journal } from '../journal/journal.ts'

type Keeping = Pick<Journal, 'status' | 'cursor' | 'keepCursor'>

/** How far a sink has come, as the journal keeps it. */
export class Cursor {
  readonly #journal: Keeping
  readonly #name: string
  #kept: number
  #keeping: Promise<void> | undefined

  private constructor(journal: Keeping, name: string, kept: number) {
    this.#journal = journal
    this.#name = name
    this.#kept = kept
  }

  /** Throws `journal-failed`. */
  static async read(journal: Keeping, name: string): Promise<Cursor> {
    // One ahead of its journal, whatever made it so, must not have the sink wait until that has come so far.
    return new Cursor(journal, name, Math.min(await journal.cursor(name), journal.status.durableSeq))
  }

  /** What was kept last. */
  get seq(): number {
    return this.#kept
  }

  /** One at a time: a disk that does not answer gets no queue of them. Throws `journal-failed`. */
  keep(seq: number): Promise<void> {
    this.#keeping ??= this.#keep(seq).finally(() => (this.#keeping = undefined))
    return this.#keeping
  }

  /** What is being kept, if anything is. */
  settled(): Promise<unknown> {
    return Promise.allSettled([this.#keeping])
  }

  async #keep(seq: number): Promise<void> {
    if (seq === this.#kept) return
    await this.#journal.keepCursor(this.#name, seq)
    this.#kept = seq
  }
}
