import { lockDirectory, type Lock } from '../linux/lock.ts'
import { SafeDir } from '../linux/safe-dir.ts'

/** Where each agent of this machine holds a lock `<id>.lock`; a lab removes those of its hosts. */
export const identitiesDirectory = '/run/keepward-agents'

/**
 * Namespaces and the marks in them are seen by the whole machine: two agents of one id would each take the other's routers
 * for leftovers of its own, and remove them. Throws `state-in-use`.
 */
export function lockIdentity(id: string): Lock {
  const directory = SafeDir.open(identitiesDirectory, { create: true })
  return lockDirectory(directory, `${id}.lock`)
}
