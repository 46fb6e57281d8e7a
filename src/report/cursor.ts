import type { SafeDir } from '../linux/safe-dir.ts'

/** Up to which record of a journal a sink has everything, in a file of its own: what is sent again after a crash is what this is behind by. */
export class Cursor {
  readonly #dir: Pick<SafeDir, 'readText' | 'write'>
  readonly #name: string
  readonly #journal: string
  #kept = 0

  /** `journal`: id of the journal file; a cursor of another one says nothing of it. */
  constructor(dir: Pick<SafeDir, 'readText' | 'write'>, sink: string, journal: string) {
    this.#dir = dir
    this.#name = `${sink}.cursor`
    this.#journal = journal
  }

  /** 0: from the oldest record that is kept. Throws `file-unsafe` or `file-failed`. */
  async read(): Promise<number> {
    this.#kept = seqOf((await this.#dir.readText(this.#name)) ?? '', this.#journal)
    return this.#kept
  }

  /** Throws `file-unsafe` or `file-failed`. */
  async keep(seq: number): Promise<void> {
    if (seq === this.#kept) return
    await this.#dir.write(this.#name, `${JSON.stringify({ version: 1, journal: this.#journal, seq })}\n`)
    this.#kept = seq
  }
}

/** One that cannot be read is as good as none: everything is sent again. */
function seqOf(text: string, wanted: string): number {
  try {
    const { version, journal, seq } = JSON.parse(text) as Partial<Record<'version' | 'journal' | 'seq', unknown>>
    return version === 1 && journal === wanted && Number.isSafeInteger(seq) ? Math.max(0, seq as number) : 0
  } catch {
    return 0
  }
}
