import { KeepwardError } from '../base/error.ts'
import type { LocalSource, SecretSource, VaultSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import { readSecret } from '../linux/read-secret.ts'
import type { RootEvent } from './operation.ts'

export interface SecretReader {
  read(source: SecretSource): Promise<Secret>
}

/** Keeps what it read until it is told to forget, and then until it has read it again. */
export interface VaultReader {
  read(source: VaultSource): Promise<Secret>
  /** As Vault has it by now; what `read` answers stays as it is. */
  readAhead(source: VaultSource): Promise<Secret>
  forget(): void
  /** What is wanted of it cannot be had, and why; undefined: it can again. */
  onTrouble(listener: (text: string | undefined) => void): void
  /** What it logs in with was read. */
  onLogin(listener: (source: LocalSource) => void): void
}

/**
 * What commands and Vault said, until the config is taken over again: each look at a router asks for its password, and a command is
 * a process. One that fails is run again at the next look. What costs nothing is read each time.
 */
export class KnownSecrets implements SecretReader {
  readonly #vault: VaultReader | undefined
  readonly #read: (source: LocalSource) => Promise<Secret>
  #commands: ReadOnce<LocalSource>

  constructor(vault: VaultReader | undefined, read: (source: LocalSource) => Promise<Secret> = readSecret) {
    this.#vault = vault
    this.#read = read
    this.#commands = this.#unread()
  }

  read(source: SecretSource): Promise<Secret> {
    if (source.kind === 'vault') return this.#vault?.read(source) ?? Promise.reject(notYet)
    return source.kind === 'command' ? this.#commands.read(source) : this.#read(source)
  }

  /** What a config that is taken over now would get, each source asked once: for those who only look. What is known stays known. */
  ahead(): SecretReader {
    return new ReadOnce<SecretSource>((source) => {
      if (source.kind === 'vault') return this.#vault?.readAhead(source) ?? Promise.reject(notYet)
      return this.#read(source)
    })
  }

  forget(): void {
    this.#commands = this.#unread()
    this.#vault?.forget()
  }

  #unread(): ReadOnce<LocalSource> {
    return new ReadOnce((source) => this.#read(source))
  }
}

/** Reads each source once; one that failed is read again. */
class ReadOnce<Source> {
  readonly #read: (source: Source) => Promise<Secret>
  readonly #said = new Map<string, Promise<Secret>>()

  constructor(read: (source: Source) => Promise<Secret>) {
    this.#read = read
  }

  read(source: Source): Promise<Secret> {
    const key = JSON.stringify(source)
    const known = this.#said.get(key)
    if (known !== undefined) return known
    const said = this.#read(source)
    this.#said.set(key, said)
    said.catch(() => {
      if (this.#said.get(key) === said) this.#said.delete(key)
    })
    return said
  }
}

const notYet = new KeepwardError('secret-unavailable', 'The section vault of the config was not there at the start', {
  hint: 'restart keepward-host to have it taken over; keepalived runs on meanwhile',
})

/** Those of a root half, which tells what becomes of Vault. */
export function openSecrets(vault: VaultReader | undefined, emit: (event: RootEvent) => void): KnownSecrets {
  vault?.onTrouble((text) => {
    emit({ type: 'vault', trouble: text ?? null })
  })
  vault?.onLogin(() => {
    emit({ type: 'vault-login' })
  })
  return new KnownSecrets(vault)
}
