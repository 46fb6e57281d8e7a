import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../src/base/error.ts'

/** Look every `everyMs` until it is so. Throws `lab-failed` at the deadline. */
export async function until(
  what: string,
  deadlineMs: number,
  isSo: () => boolean | Promise<boolean>,
  everyMs = 20,
): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new KeepwardError('lab-failed', `Waited ${deadlineMs / 1000} s in vain until ${what}`)
    await wait(everyMs)
  }
}
