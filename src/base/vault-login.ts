import type { LocalSource } from './secret-source.ts'

/** Where a Vault is. */
export interface VaultPlace {
  /** `https://HOST:PORT`, nothing behind it. */
  readonly address: string
  /** The CA certificates, in PEM, of which one must have signed Vault's; no other is believed. */
  readonly caFile: string
  /** Of Vault Enterprise or OpenBao; part of no path. */
  readonly namespace?: string | undefined
}

/** As whom a process comes to Vault. */
export type VaultLogin =
  | { readonly kind: 'token'; readonly token: LocalSource }
  /** `roleId` names the role and is no secret. */
  | { readonly kind: 'app-role'; readonly mount: string; readonly roleId: string; readonly secretId: LocalSource }
