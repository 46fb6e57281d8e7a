import { describeError } from '../base/error.ts'
import { describeSource, type SecretSource, type VaultSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import { keyOfFile } from '../statechange/key-file.ts'

/** A key of a sender that Vault keeps. */
export interface VaultKey {
  readonly id: string
  readonly source: VaultSource
}

export interface VaultKeysParts {
  readonly read: (source: VaultSource) => Promise<Secret>
  readonly keys: readonly VaultKey[]
  /** It speaks from now on. */
  readonly onKey: (id: string, key: Secret, source: SecretSource) => void
  /** Some cannot be had or are no keys, and why; undefined: all are there. */
  readonly onTrouble: (text: string | undefined) => void
}

const againMs = 5000

/**
 * Read the keys in the background until all are there: an agent that waited for Vault would not tell roles. Vault itself holds back tries
 * that come too early. Returns how to stop.
 */
export function readVaultKeys({ read, keys, onKey, onTrouble }: VaultKeysParts): () => void {
  const wanted = new Set(keys)
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const tryOne = async (key: VaultKey): Promise<string | undefined> => {
    try {
      const secret = keyOfFile(describeSource(key.source), await read(key.source))
      wanted.delete(key)
      if (!stopped) onKey(key.id, secret, key.source)
      return undefined
    } catch (error) {
      return describeError(error)
    }
  }
  const tryAll = async (): Promise<void> => {
    const troubles = await Promise.all([...wanted].map(tryOne))
    if (stopped) return
    onTrouble(troubles.find((text) => text !== undefined))
    if (wanted.size > 0) timer = setTimeout(() => void tryAll(), againMs).unref()
  }
  if (wanted.size > 0) void tryAll()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
