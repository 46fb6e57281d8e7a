import { closeSync, constants, openSync, readSync } from 'node:fs'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { keyOfFile } from '../statechange/key-file.ts'

/** The key in a file, with the caller's rights, whoever owns it. Throws `file-failed` or `key-invalid`. */
export function keyIn(path: string): Secret {
  const hint = { absent: 'name one with --key-file', denied: 'it is for root and the agent’s own user' }
  return keyOfFile(`the key file ${path}`, contentOf(path, 'key file', maxBytes, hint))
}

/** What is in a file that the command line names. Throws `file-failed`. */
export const secretIn = (path: string): Secret => contentOf(path, 'file', maxFileBytes, {})

const maxFileBytes = 1024 * 1024

interface Hints {
  readonly absent?: string
  readonly denied?: string
}

/** What is past `limit` is left. */
function contentOf(path: string, what: string, limit: number, { absent, denied }: Hints): Secret {
  const bytes = Buffer.alloc(limit)
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return new Secret(bytes.subarray(0, readSync(fd, bytes)))
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') {
      throw new KeepwardError(codeOf(cause, 'file-failed'), `Cannot read the ${what} ${path}`, {
        cause,
        ...(denied === undefined ? {} : { hint: denied }),
      })
    }
    throw new KeepwardError('file-failed', `There is no ${what} ${path}`, absent === undefined ? {} : { hint: absent })
  }
}

/** A key is 64 digits and a newline; one byte more shows that there is more. */
const maxBytes = 66
