import type { Clock } from '../base/instant.ts'
import type { VaultLogin, VaultPlace } from '../base/vault-login.ts'
import { readSecret } from '../linux/read-secret.ts'
import { readRootText } from '../linux/root-file.ts'
import { Vault } from './vault.ts'

/** All of a system's CA certificates are shorter. */
const maxCaBytes = 1024 * 1024

/** The Vault of a process that has a login there; undefined for one that has none. Nothing is asked yet. */
export function openVault(
  settings: (VaultPlace & { readonly [W in Who]?: VaultLogin | undefined }) | undefined,
  who: Who,
  clock: Clock,
): Vault | undefined {
  const login = settings?.[who]
  if (settings === undefined || login === undefined) return undefined
  const { address, namespace, caFile } = settings
  const readCa = () => readRootText(caFile, maxCaBytes)
  return new Vault({ place: { address, namespace }, readCa, login, readLocal: readSecret, clock })
}

type Who = 'host' | 'agent'
