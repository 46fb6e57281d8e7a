import { hkdfSync, randomBytes } from 'node:crypto'
import { Secret } from '../base/secret.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { keyOfFile } from './key-file.ts'

/** In the state directory: from this secret each router's own key is derived, so that keys cost nothing per router. */
export const masterKeyName = 'state-change.key'

/** The key of one router (HKDF with SHA-256, RFC 5869): who holds it can speak for that router and no other. */
export function routerKey(master: Secret, router: string): Secret {
  const info = `keepward state change ${router}`
  return new Secret(Buffer.from(hkdfSync('sha256', master.revealBytes(), '', info, 32)))
}

/** The master secret, made at the first call (mode 0600). Throws `file-unsafe` or `file-failed`. */
export async function openMasterKey(dir: SafeDir): Promise<Secret> {
  if ((await dir.list()).includes(masterKeyName))
    return keyOfFile(`the key file ${dir.pathOf(masterKeyName)}`, dir.readSecret(masterKeyName))
  const bytes = randomBytes(32)
  await dir.write(masterKeyName, `${bytes.toString('hex')}\n`)
  return new Secret(bytes)
}

/** Find secrets by key id: those that the config names, else the key of the router of that id, known here or not. */
export function secretFinder(master: Secret, named: ReadonlyMap<string, Secret>): (key: string) => Secret {
  const recent = new Map<string, Secret>()
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
