import { errnoOf, KeepwardError, type ErrorCode } from '../base/error.ts'
import { native } from './native.ts'

/**
 * The text of a file of procfs; undefined when it or its process is not there. Throws `permission-denied`, and `file-failed` when it
 * cannot be read for another reason: no descriptor is left, or no memory.
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
  ['EPERM', 'EACCES'].includes(errnoOf(cause) ?? '') ? 'permission-denied' : 'file-failed'
