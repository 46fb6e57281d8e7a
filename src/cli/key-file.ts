import { closeSync, constants, openSync, readSync } from 'node:fs'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { keyOfFile } from '../statechange/key-file.ts'

/** The key in a file, with the caller's rights, whoever owns it. Throws `file-failed` or `key-invalid`. */
export function keyIn(path: string): Secret {
  const bytes = Buffer.alloc(maxBytes)
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return keyOfFile(`the key file ${path}`, new Secret(bytes.subarray(0, readSync(fd, bytes))))
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (cause instanceof KeepwardError) throw cause
    if (errnoOf(cause) !== 'ENOENT') {
      throw new KeepwardError(codeOf(cause, 'file-failed'), `Cannot read the key file ${path}`, {
        cause,
        hint: 'it is for root and the agent’s own user',
      })
    }
    throw new KeepwardError('file-failed', `There is no key file ${path}`, { hint: 'name one with --key-file' })
  }
}

/** A key is 64 digits and a newline; one byte more shows that there is more. */
const maxBytes = 66
