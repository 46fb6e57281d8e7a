import { KeepwardError } from '../base/error.ts'
import { readKey } from './signature.ts'

/** As {@link readKey}, of a text that was read from `path`, which the error names. */
export function keyOfFile(path: string, text: string): Buffer {
  try {
    return readKey(text)
  } catch (cause) {
    if (!(cause instanceof KeepwardError)) throw cause
    throw new KeepwardError(cause.code, `Cannot use the key file ${path}`, { cause })
  }
}
