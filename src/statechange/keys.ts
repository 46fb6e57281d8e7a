import { hkdfSync, randomBytes } from 'node:crypto'
import type { SafeDir } from '../linux/safe-dir.ts'
import { keyOfFile } from './key-file.ts'

/** In the state directory: from this secret each router's own key is derived, so that keys cost nothing per router. */
export const masterKeyName = 'state-change.key'

/** The key of one router (HKDF with SHA-256, RFC 5869): who holds it can speak for that router and no other. */
export function routerKey(master: Buffer, router: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, '', `keepward state change ${router}`, 32))
}

/** A secret of our own in a file of that name, made at the first call (mode 0600). Throws `key-invalid`, `file-unsafe` or `file-failed`. */
export async function openOwnKey(dir: SafeDir, name: string): Promise<Buffer> {
  if ((await dir.list()).includes(name)) return keyOfFile(dir.pathOf(name), dir.readSecret(name))
  const secret = randomBytes(32)
  await dir.write(name, `${secret.toString('hex')}\n`)
  return secret
}

/** Find secrets by key id: those that the config names, else the key of the router of that id, known here or not. */
export function secretFinder(master: Buffer, named: ReadonlyMap<string, Buffer>): (key: string) => Buffer {
  const recent = new Map<string, Buffer>()
  return (key) => {
    const known = named.get(key) ?? recent.get(key)
    if (known !== undefined) return known
    const secret = routerKey(master, key)
    if (recent.size >= maxRecent) recent.clear()
    recent.set(key, secret)
    return secret
  }
}

const maxRecent = 4096
