import { createHmac, randomBytes } from 'node:crypto'
import type { Secret } from '../base/secret.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { ProcessEvidence } from '../router/evidence.ts'
import type { Inspection } from './operation.ts'

const keyName = 'digest.key'

/**
 * Digests of configs as they leave the root half: two of them compare, and say nothing else. All of a config but a password of
 * 8 characters is known to whoever reads agent.yaml, so that from a plain digest the password could be guessed. The key stays as
 * long as the directory, so that evidence from before a restart of ours compares with that of afterwards.
 */
export class DigestSeal {
  readonly #key: Secret

  private constructor(key: Secret) {
    this.#key = key
  }

  /** Throws `file-unsafe` or `file-failed`. */
  static async open(dir: SafeDir): Promise<DigestSeal> {
    if (dir.look(keyName) === undefined) await dir.write(keyName, randomBytes(32))
    return new DigestSeal(dir.readSecret(keyName))
  }

  inspection({ process, settings }: Inspection): Inspection {
    if (settings.kind !== 'seen') return { process: this.process(process), settings }
    const wantedDigest = this.#seal(settings.wantedDigest)
    const writtenDigest = this.#seal(settings.writtenDigest)
    return { process: this.process(process), settings: { ...settings, wantedDigest, writtenDigest } }
  }

  process<E extends ProcessEvidence>(evidence: E): E {
    return 'loadedDigest' in evidence ? { ...evidence, loadedDigest: this.#seal(evidence.loadedDigest) } : evidence
  }

  #seal<D extends string | undefined>(digest: D): D | string {
    if (digest === undefined || !digestForm.test(digest)) return digest
    return createHmac('sha256', this.#key.revealBytes()).update(digest).digest('hex')
  }
}

/** Words that stand in the place of one are left. */
const digestForm = /^[0-9a-f]{64}$/
