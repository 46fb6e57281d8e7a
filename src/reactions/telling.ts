import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import { run } from '../linux/run.ts'
import { demandGoing } from './cancel.ts'

export interface Telling {
  readonly argv: readonly string[]
  /** A command whose answer counts what got lost of all that it sent, if it does: when it is more than before, it is told again. */
  readonly lost: { readonly argv: readonly string[]; readonly count: (answer: string) => number | undefined }
}

const askMs = 5000
const takeMs = 2000
const retellMs = 50

/** Until it was told and nothing got lost: one that has just started may not be there to be told yet. Throws why not, or `reaction-cancelled`. */
export async function tell({ argv, lost }: Telling, namespaceFd: number, signal: AbortSignal): Promise<void> {
  const ask = async (words: readonly string[]) => {
    demandGoing(signal)
    return (await run(words, { namespaceFd, timeoutMs: askMs, signal })).stdout
  }
  const countLost = async () => lost.count(await ask(lost.argv))
  for (const deadline = performance.now() + takeMs; ;) {
    try {
      const before = await countLost()
      await ask(argv)
      const after = await countLost()
      if (before === undefined || after === undefined)
        throw new KeepwardError('reaction-failed', `it was sent, and ${lost.argv.join(' ')} does not say what got lost`)
      if (after <= before) return
      throw new KeepwardError('reaction-failed', 'it sent it, and it got lost')
    } catch (error) {
      if (performance.now() > deadline || signal.aborted) throw error
      await wait(retellMs)
    }
  }
}
