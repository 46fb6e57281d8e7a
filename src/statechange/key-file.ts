import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { readKey } from './signature.ts'

/** As {@link readKey}, of what was read from `where`, which the error names: `the key file /x`. */
export function keyOfFile(where: string, content: Secret): Secret {
  try {
    return readKey(content)
  } catch (cause) {
    if (!(cause instanceof KeepwardError)) throw cause
    throw new KeepwardError(cause.code, `Cannot use ${where}`, { cause })
  }
}
