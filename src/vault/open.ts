import type { Clock } from '../base/instant.ts'
import type { VaultLogin, VaultPlace } from '../base/vault-login.ts'
import { readSecret } from '../linux/read-secret.ts'
import { readRootText } from '../linux/root-file.ts'
import type { Vault } from './vault.ts'

/** All of a system's CA certificates are shorter. */
const maxCaBytes = 1024 * 1024

/** The Vault of a process that has a login there; undefined for one that has none. Nothing is asked yet. */
export async function openVault(
  settings: (VaultPlace & { readonly [W in Who]?: VaultLogin | undefined }) | undefined,
  who: Who,
  clock: Clock,
): Promise<Vault | undefined> {
  const login = settings?.[who]
  if (settings === undefined || login === undefined) return undefined
  const { address, namespace, caFile } = settings
  const readCa = () => readRootText(caFile, maxCaBytes)
  // TLS takes megabytes, which a process without a Vault has no use for.
  const { Vault: VaultOfProcess } = await import('./vault.ts')
  return new VaultOfProcess({ place: { address, namespace }, readCa, login, readLocal: readSecret, clock })
}

type Who = 'host' | 'agent'
