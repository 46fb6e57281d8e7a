/** Where a secret comes from. None of it is secret itself: it stands in the config, which others may read. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  /** Of the service manager: a file of that name in `$CREDENTIALS_DIRECTORY` (systemd.exec(5)). */
  | { readonly kind: 'credential'; readonly name: string }
  /** Its standard output; never a shell. */
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  | { readonly kind: 'environment'; readonly variable: string }

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
  }
}
