import { describeError, type KeepwardError } from '../base/error.ts'
import type { ConfigFile, TrustedConfig } from '../config/trusted.ts'
import { weakeningsOf, type Weakening } from '../config/weakening.ts'
import type { ConditionCode } from '../router/condition.ts'

/** The config file as it was found. */
export type FileSeen =
  { readonly kind: 'read'; readonly file: ConfigFile } | { readonly kind: 'unreadable'; readonly error: unknown }

/** Look at the file; that it cannot be read is an answer, not an error. */
export async function lookAtFile(read: () => Promise<ConfigFile>): Promise<FileSeen> {
  try {
    return { kind: 'read', file: await read() }
  } catch (error) {
    return { kind: 'unreadable', error }
  }
}

export const hashOf = (seen: FileSeen): string | undefined => (seen.kind === 'read' ? seen.file.hash : undefined)

/** The config that runs, the file as it was last seen, and what is wrong between the two. */
export class ConfigInForce {
  #loaded: TrustedConfig
  #seen: { readonly hash: string | undefined; readonly stamp: string; readonly reason: string } | undefined
  #trouble: string | undefined
  /** Why it was taken over by the start, and not by anybody. */
  #unasked: string | undefined
  /** Of the copy that the next start would take; null: not known. */
  #kept: string | undefined | null = null

  constructor(loaded: TrustedConfig, unasked?: string) {
    this.#loaded = loaded
    this.#unasked = unasked
  }

  get loaded(): TrustedConfig {
    return this.#loaded
  }

  /** The file, its signature or the public keys are, as far as was seen, not those of what runs. */
  get differs(): boolean {
    return this.#seen !== undefined && this.#seen.stamp !== this.#loaded.stamp
  }

  /**
   * Answers whether it is another file than at the last look. A trouble with the file ends when the file is changed back to
   * what runs.
   */
  see(seen: FileSeen): boolean {
    const before = this.#seen
    const reason = seen.kind === 'read' ? '' : describeError(seen.error)
    this.#seen = { hash: hashOf(seen), stamp: seen.kind === 'read' ? seen.file.stamp : reason, reason }
    if (before?.stamp === this.#seen.stamp) return false
    if (before !== undefined && !this.differs) this.#trouble = undefined
    return true
  }

  take(loaded: TrustedConfig): void {
    this.#loaded = loaded
    this.#trouble = undefined
    this.#unasked = undefined
  }

  /** The digest of the copy that the next start would take; undefined: there is none. */
  noteKept(hash: string | undefined): void {
    this.#kept = hash
  }

  refuse(error: KeepwardError): void {
    this.#trouble = describeError(error)
  }

  conditions(): [ConditionCode, string][] {
    const found: [ConditionCode, string][] = []
    if (this.#trouble !== undefined) found.push(['config-not-applied', this.#trouble])
    if (this.#unasked !== undefined) found.push(['config-taken-at-start', this.#unasked])
    if (this.#kept === undefined) found.push(['config-not-kept', 'There is no copy beside the config file'])
    const variables = weakeningsOf(this.#loaded.config).filter(({ setting }) => setting.endsWith('.environment'))
    if (variables.length > 0) found.push(['secret-in-environment', variables.map(weakText).join('; ')])
    if (this.#seen === undefined || !this.differs) return found
    found.push(['config-changed-on-disk', this.#difference(this.#seen)])
    return found
  }

  #difference({ hash, reason }: { readonly hash: string | undefined; readonly reason: string }): string {
    const runs = `what runs has ${short(this.#loaded.hash)} (\`keepward plan\` compares)`
    if (hash === undefined) return `${reason}; ${runs}`
    if (hash !== this.#loaded.hash) return `The file has the digest ${short(hash)}; ${runs}`
    return 'The file is what runs, but its signature or the public keys beside it are others than when it was loaded'
  }
}

const weakText = ({ setting, found }: Weakening): string => `${setting}: ${found.join(', ')}`

/** Enough of a digest to tell two apart. */
const short = (hash: string): string => hash.slice(0, 12)
