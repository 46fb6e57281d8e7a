import type { SecretSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import { readSecret } from '../linux/read-secret.ts'

/**
 * What commands said, until the config is taken over again: each look at a router asks for its password, and a command is
 * a process. One that fails is run again at the next look. What does not cost a process is read each time.
 */
export class KnownSecrets {
  readonly #read: (source: SecretSource) => Promise<Secret>
  readonly #said = new Map<string, Promise<Secret>>()

  constructor(read: (source: SecretSource) => Promise<Secret> = readSecret) {
    this.#read = read
  }

  read(source: SecretSource): Promise<Secret> {
    if (source.kind !== 'command') return this.#read(source)
    const key = JSON.stringify(source.argv)
    const known = this.#said.get(key)
    if (known !== undefined) return known
    const said = this.#read(source)
    this.#said.set(key, said)
    said.catch(() => {
      if (this.#said.get(key) === said) this.#said.delete(key)
    })
    return said
  }

  forget(): void {
    this.#said.clear()
  }
}
