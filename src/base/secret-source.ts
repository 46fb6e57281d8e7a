/** Where a secret comes from on this host. None of it is secret itself: it stands in the config, which others may read. */
export type LocalSource =
  | { readonly kind: 'file'; readonly path: string }
  /** Of the service manager: a file of that name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5)). */
  | { readonly kind: 'credential'; readonly name: string }
  /** Its standard output; never a shell. */
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  | { readonly kind: 'environment'; readonly variable: string }

/** A field of a secret that HashiCorp Vault or OpenBao keeps, in a KV secrets engine of version 2. */
export interface VaultSource {
  readonly kind: 'vault'
  readonly mount: string
  readonly path: string
  readonly field: string
}

export type SecretSource = LocalSource | VaultSource

/** For a person, within a sentence. */
export function describeSource(source: SecretSource): string {
  switch (source.kind) {
    case 'file':
      return source.path
    case 'credential':
      return `the credential ${source.name}`
    case 'command':
      return `what ${source.argv[0] ?? ''} says`
    case 'environment':
      return `the environment variable ${source.variable}`
    case 'vault':
      return `${source.mount}/${source.path}#${source.field} of Vault`
  }
}
