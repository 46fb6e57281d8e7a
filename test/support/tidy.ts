import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { identitiesDirectory } from '../../src/host/identity.ts'

const locks = (): string[] => (existsSync(identitiesDirectory) ? readdirSync(identitiesDirectory) : [])

/** An agent leaves the file of its lock where it is; those of agents that only tests had go when the tests end. */
export default function tidy(): () => void {
  const before = new Set(locks())
  return () => {
    for (const lock of locks()) if (/^kw[a-z]-/.test(lock) && !before.has(lock)) rmSync(join(identitiesDirectory, lock))
  }
}
