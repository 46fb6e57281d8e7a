import { once } from 'node:events'
import { KeepwardError } from '../base/error.ts'

/** Resolves with false when nobody wants the run any more. */
export async function cancelled(signal: AbortSignal): Promise<false> {
  if (!signal.aborted) await once(signal, 'abort')
  return false
}

/** Throws `reaction-cancelled` when nobody wants it. */
export function demandGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new KeepwardError('reaction-cancelled', 'The role is another one by now')
}
