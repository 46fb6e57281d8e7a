import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { FindAccount } from './account-rules.ts'
import { configHash } from './load.ts'
import { decode, loadForHost, readTrusted, unlessAbsent, type LoadedConfig } from './read.ts'
import {
  checkSignature,
  keysAbsent,
  maxKeyFileBytes,
  maxSignatureBytes,
  publicKeysIn,
  signatureFileOf,
} from './signature.ts'
import { maxConfigBytes } from './source.ts'

/** A config that may be acted upon. */
export interface TrustedConfig extends LoadedConfig {
  /** The id of the key that signed; undefined when no signature was asked for. */
  readonly signedBy: string | undefined
  /** As its file had it. */
  readonly stamp: string
}

/** A config file as it was read, before anything of it is judged. */
export interface ConfigFile {
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly hash: string
  /** Another one whenever the file, its signature or the public keys are. */
  readonly stamp: string
  /**
   * `running`: the config that it would take the place of. Throws `config-unreadable` when it is no text, `config-invalid` with
   * every problem, and `config-unsigned`, `config-signature-wrong` or `config-key-unusable`.
   */
  load(running?: Pick<TrustedConfig, 'signedBy'>): Promise<TrustedConfig>
}

export interface ConfigBytes extends ConfigFile {
  readonly bytes: Buffer
  /** Of its signature, where there is one. */
  readonly signature: Buffer | undefined
}

/**
 * Read the config file at an absolute path for whoever acts on it: root alone can have written it, its signature and the public
 * keys (openRootFile). `hostname` is the host identity where the file names none; with `find`, an account that the host does not
 * have is a problem of the config. Throws `config-unsafe` or `config-unreadable`.
 */
export async function readTrustedConfig(path: string, hostname: string, find?: FindAccount): Promise<ConfigBytes> {
  const file = await readTrusted(path, maxConfigBytes)
  const signature = await unlessAbsent(readTrusted(signatureFileOf(path), maxSignatureBytes))
  const keys = await unlessAbsent(readTrusted(keysFileOf(path), maxKeyFileBytes))
  const hashes = [file, signature, keys].map((bytes) => (bytes === undefined ? '-' : configHash(bytes)))
  const stamp = createHash('sha256').update(hashes.join(' ')).digest('hex')
  return {
    bytes: file,
    signature,
    hash: configHash(file),
    stamp,
    async load(running) {
      const wasSigned = running?.signedBy !== undefined
      const trusted = await loadTrusted({ path, file, signature, keys }, { hostname, wasSigned, find })
      return { ...trusted, hash: configHash(file), stamp }
    },
  }
}

/** Public keys lie in the config's directory under a fixed name, which no config can change. */
export const keysFileOf = (configFile: string): string => `${dirname(configFile)}/config-signing.pub`

interface Found {
  readonly path: string
  readonly file: Buffer
  readonly signature: Buffer | undefined
  readonly keys: Buffer | undefined
}

interface Asked {
  readonly hostname: string
  readonly wasSigned: boolean
  readonly find: FindAccount | undefined
}

type Trusted = Pick<TrustedConfig, 'config' | 'signedBy'>

/**
 * Whoever alters the config can drop `requireSignature` from it as well. So the key file asks for a signature by being there,
 * whatever the config says, and `requireSignature` asks for the key file: it cannot have been in force without one, and what is
 * signed once stays so until the agent is started anew.
 */
async function loadTrusted({ path, file, signature, keys }: Found, asked: Asked): Promise<Trusted> {
  const { hostname, wasSigned, find } = asked
  const keysFile = keysFileOf(path)
  if (keys === undefined && wasSigned) throw keysAbsent(keysFile, 'the config that runs was signed', putThere)
  // Before the text is looked at: a parser is no place for what a stranger wrote.
  const signedBy =
    keys === undefined ? undefined : checkSignature({ path, file, signature }, publicKeysIn(keys, keysFile), keysFile)
  const config = await loadForHost(decode(path, file), path, hostname, find)
  if (config.config.requireSignature && keys === undefined) {
    throw keysAbsent(keysFile, `${path} asks for a signature`, putThere)
  }
  return { config, signedBy }
}

const putThere =
  'put the public keys there; to do without signatures, take requireSignature out of the config, apply that, and start the agent anew'
