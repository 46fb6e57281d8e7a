import { KeepwardError, sentenceOf } from '../base/error.ts'
import { ExitStatus } from './exit-status.ts'

/** Says on standard error why a command failed, with the code of docs/errors.md; answers with the exit status. */
export function failedWith(error: unknown): number {
  const { code, hint } = error instanceof KeepwardError ? error : new KeepwardError('internal', '', { cause: error })
  process.stderr.write(`keepward: ${sentenceOf(error)} (${hint}) [${code}]\n`)
  return code === 'request-invalid' ? ExitStatus.usage : ExitStatus.failed
}
