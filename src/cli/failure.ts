import { withoutControls } from '../base/controls.ts'
import { codeOf, KeepwardError, sentenceOf } from '../base/error.ts'
import { ExitStatus } from './exit-status.ts'

/**
 * From now on what nobody caught ends the process with words and a status like any failure: one that stayed up might be deaf. The
 * service manager starts it anew, and routers run on meanwhile.
 */
export function endOnDefect(): void {
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${withoutControls(error.stack ?? '')}\n`)
    process.exit(failedWith(error))
  })
}

/** Whoever reads what we print, such as head(1), may have enough before we are done; a file that takes no more is a failure. */
export function endWithOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    const told = new KeepwardError(codeOf(error, 'file-failed'), 'Cannot write to standard output', { cause: error })
    process.exit(failedWith(told))
  })
}

/** Says on standard error why a command failed, with the code of docs/errors.md; answers with the exit status. */
export function failedWith(error: unknown): number {
  const { code, hint } = error instanceof KeepwardError ? error : new KeepwardError('internal', '', { cause: error })
  process.stderr.write(`keepward: ${withoutControls(sentenceOf(error))} (${hint}) [${code}]\n`)
  return code === 'request-invalid' ? ExitStatus.usage : ExitStatus.failed
}
