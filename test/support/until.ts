import { setTimeout as wait } from 'node:timers/promises'

const lookEveryMs = 20

/**
 * Wait until `look` gives something other than undefined and false, and return it. Throws after `deadlineMs`, with
 * what was wanted and the last error that `look` threw.
 */
export async function until<T>(
  wanted: string,
  look: () => T | Promise<T>,
  deadlineMs = 15_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + deadlineMs
  let trouble: unknown
  for (;;) {
    try {
      const found = await look()
      trouble = undefined
      if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>
    } catch (error) {
      trouble = error
    }
    if (performance.now() > deadline) {
      throw new Error(`Not within ${String(deadlineMs)} ms: ${wanted}`, { cause: trouble })
    }
    await wait(lookEveryMs)
  }
}

/** Look for `ms` and throw as soon as `look` says false: for what must not happen. */
export async function staysSo(wanted: string, look: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  const end = performance.now() + ms
  while (performance.now() < end) {
    if (!(await look())) throw new Error(`Did not stay so for ${String(ms)} ms: ${wanted}`)
    await wait(lookEveryMs)
  }
}
