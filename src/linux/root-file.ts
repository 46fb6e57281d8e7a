import { closeSync, constants, fstatSync, type Stats } from 'node:fs'
import { basename, dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { SafeDir } from './safe-dir.ts'
import { octal } from './safe-file.ts'

/**
 * A regular file that root alone can have written, open for reading; the caller closes the descriptor. It and every
 * directory on its way belong to root and are writable by no one else, no link is followed, and it has one name: all asked
 * of the descriptors, so that what is read is what was checked. An ACL that lets others write shows in the group's bits
 * (acl(5)). Throws `directory-unsafe`, `file-unsafe`, or `file-failed` with the cause.
 */
export function openRootFile(path: string): number {
  using directory = SafeDir.open(dirname(path), { mode: 'any', owner: 'root' })
  // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
  const fd = directory.openFile(basename(path), constants.O_RDONLY | constants.O_NONBLOCK)
  const refusal = judge(fstatSync(fd), path)
  if (refusal === undefined) return fd
  closeSync(fd)
  throw refusal
}

function judge(stats: Stats, path: string): KeepwardError | undefined {
  const refuse = (is: string, hint: string) => new KeepwardError('file-unsafe', `${path} ${is}`, { hint })
  if (!stats.isFile()) return refuse('is no regular file', 'put a regular file there')
  if (stats.uid !== 0) return refuse(`belongs to uid ${stats.uid}, must belong to root`, `chown root: ${path}`)
  if ((stats.mode & 0o022) !== 0)
    return refuse(`has mode ${octal(stats)}, must be writable by root alone`, `chmod go-w ${path}`)
  if (stats.nlink === 1) return undefined
  return refuse(`has ${stats.nlink} names (hard links), must have one`, `replace it by a copy of itself`)
}
