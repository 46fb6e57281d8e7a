import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { readKey } from './signature.ts'

/** As {@link readKey}, of what was read from `path`, which the error names. */
export function keyOfFile(path: string, content: Secret): Secret {
  try {
    return readKey(content)
  } catch (cause) {
    if (!(cause instanceof KeepwardError)) throw cause
    const hint = cause.hint === undefined ? {} : { hint: cause.hint }
    throw new KeepwardError(cause.code, `Cannot use the key file ${path}`, { cause, ...hint })
  }
}
