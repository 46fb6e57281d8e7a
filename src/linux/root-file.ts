import { closeSync, constants, fstatSync, readSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { SafeDir } from './safe-dir.ts'
import { unsafe } from './safe-error.ts'

/**
 * A regular file that root alone can have written, open for reading; the caller closes the descriptor. It and every
 * directory on its way belong to root and are writable by no one else, no link is followed, and it has one name: all asked
 * of the descriptors, so that what is read is what was checked. An ACL that lets others write shows in the group's bits
 * (acl(5)). Throws `directory-unsafe`, `file-unsafe`, or `file-failed` with the cause.
 */
export function openRootFile(path: string): number {
  using directory = SafeDir.open(dirname(path), { mode: 'any', owner: 'root' })
  const fd = directory.openFile(basename(path), constants.O_RDONLY)
  const { uid } = fstatSync(fd)
  if (uid === 0) return fd
  // Ours, which is as good as root's elsewhere.
  closeSync(fd)
  throw unsafe(`${path} belongs to uid ${uid}`)
}

/** The text of a file as {@link openRootFile} opens it. Throws `file-unsafe` when it is longer. */
export function readRootText(path: string, maxBytes: number): string {
  const fd = openRootFile(path)
  try {
    const bytes = Buffer.alloc(maxBytes + 1)
    const read = readSync(fd, bytes, 0, bytes.length, 0)
    if (read <= maxBytes) return bytes.toString('utf8', 0, read)
    throw unsafe(`${path} is longer than ${maxBytes} bytes`)
  } finally {
    closeSync(fd)
  }
}
