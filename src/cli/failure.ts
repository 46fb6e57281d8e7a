import { describeError, KeepwardError } from '../base/error.ts'
import { ExitStatus } from './exit-status.ts'

/** Says on standard error why a command failed; answers with the exit status. */
export function failedWith(error: unknown): number {
  process.stderr.write(`keepward: ${describeError(error)}\n`)
  return error instanceof KeepwardError && error.code === 'request-invalid' ? ExitStatus.usage : ExitStatus.failed
}
