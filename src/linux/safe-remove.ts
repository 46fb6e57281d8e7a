import { constants } from 'node:fs'
import { open, readdir, rmdir, unlink } from 'node:fs/promises'
import { errnoOf } from '../base/error.ts'
import { unsafe } from './safe-error.ts'

/** Directories in directories: more than anything of ours has, few enough descriptors. */
const maxDepth = 16

/**
 * Removes a directory with all that it holds. Each directory is held by its descriptor while it is emptied: one that is
 * replaced by a link meanwhile leads nowhere. `path` is by descriptor too; absent is fine, and a link or file is removed.
 */
export async function removeTree(path: string, depth = 0): Promise<void> {
  if (depth > maxDepth) throw unsafe(`${path} lies more than ${maxDepth} directories deep; it is left alone`)
  if (await gone(unlink(path))) return
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  const directory = await open(path, flags).catch(unlessAbsent)
  if (directory === undefined) return
  try {
    const self = `/proc/self/fd/${directory.fd}`
    for (const name of await readdir(self)) await removeTree(`${self}/${name}`, depth + 1)
  } finally {
    await directory.close()
  }
  await rmdir(path).catch(unlessAbsent)
}

/** False when it is a directory, which unlink(2) says and does not touch. */
async function gone(unlinked: Promise<void>): Promise<boolean> {
  try {
    await unlinked
    return true
  } catch (error) {
    if (errnoOf(error) === 'EISDIR') return false
    unlessAbsent(error)
    return true
  }
}

function unlessAbsent(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error
  return undefined
}
