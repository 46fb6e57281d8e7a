import { codeOf, errnoOf, KeepwardError, type ErrorCode } from '../base/error.ts'
import { native } from './native.ts'

/**
 * The text of a file of procfs; undefined when it or its process is not there. Throws `permission-denied`,
 * `resources-exhausted` or `file-failed`.
 */
export function readProc(path: string): string | undefined {
  try {
    return native().readProc(path) ?? undefined
  } catch (cause) {
    throw new KeepwardError(procCodeOf(cause), `Cannot read ${path}`, { cause })
  }
}

/** The code for a look at a process that failed. */
export const procCodeOf = (cause: unknown): ErrorCode =>
  codeOf(cause, ['EPERM', 'EACCES'].includes(errnoOf(cause) ?? '') ? 'permission-denied' : 'file-failed')
