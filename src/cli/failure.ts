import { KeepwardError, sentenceOf } from '../base/error.ts'
import { ExitStatus } from './exit-status.ts'

/**
 * From now on what nobody caught ends the process with words and a status like any failure: one that stayed up might be deaf. The
 * service manager starts it anew, and routers run on meanwhile.
 */
export function endOnDefect(): void {
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? ''}\n`)
    process.exit(failedWith(error))
  })
}

/** Says on standard error why a command failed, with the code of docs/errors.md; answers with the exit status. */
export function failedWith(error: unknown): number {
  const { code, hint } = error instanceof KeepwardError ? error : new KeepwardError('internal', '', { cause: error })
  process.stderr.write(`keepward: ${sentenceOf(error)} (${hint}) [${code}]\n`)
  return code === 'request-invalid' ? ExitStatus.usage : ExitStatus.failed
}
