import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { configHash, loadConfig } from './load.ts'
import { decode, readTrusted, unlessAbsent, type LoadedConfig } from './read.ts'
import {
  checkSignature,
  maxKeyFileBytes,
  maxSignatureBytes,
  publicKeysIn,
  signatureFileOf,
  unsigned,
  type PublicKey,
  type Signed,
} from './signature.ts'
import { maxConfigBytes } from './source.ts'

/** A config that may be acted upon. */
export interface TrustedConfig extends LoadedConfig {
  /** Files of public keys: the next config must be signed by a key of each. Empty: none is asked for. */
  readonly keyFiles: readonly string[]
  /** The id of the key that signed; undefined when no signature was asked for. */
  readonly signedBy: string | undefined
}

/** A config file as it was read, before anything of it is judged. */
export interface ConfigFile {
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly hash: string
  /** Another one whenever the file or its signature is. */
  readonly stamp: string
  /**
   * `inForce`: the key files of the config that runs. Throws `config-unreadable` when it is no text, `config-invalid` with every
   * problem, and `config-unsigned`, `config-signature-wrong` or `config-key-unusable`.
   */
  load(inForce?: readonly string[]): Promise<TrustedConfig>
}

/**
 * Read the config file at an absolute path for whoever acts on it: root alone can have written it, its signature and the public
 * keys (openRootFile). `hostname` is the host identity where the file names none. Throws `config-unsafe` or
 * `config-unreadable`.
 */
export async function readTrustedConfig(path: string, hostname: string): Promise<ConfigFile> {
  const file = await readTrusted(path, maxConfigBytes)
  const signature = await unlessAbsent(readTrusted(signatureFileOf(path), maxSignatureBytes))
  const hash = configHash(file)
  return {
    hash,
    stamp: createHash('sha256')
      .update(`${hash} ${signature === undefined ? '' : configHash(signature)}`)
      .digest('hex'),
    load: (inForce = []) => loadTrusted({ path, file, signature }, hostname, inForce),
  }
}

/** In the config's directory: where it stands, every config is to be signed, whatever the config says. */
export const anchorOf = (configFile: string): string => `${dirname(configFile)}/config-signing.pub`

/**
 * Whoever alters the config can also drop `requireSignature` from it. So what the running config asks for is asked of the next one
 * too, and cannot end while the agent runs; and a public key beside the config asks by being there, at the first start too.
 */
async function loadTrusted(signed: Signed, hostname: string, inForce: readonly string[]): Promise<TrustedConfig> {
  const { path, file } = signed
  const anchor = anchorOf(path)
  const anchored = inForce.includes(anchor) || (await unlessAbsent(readTrusted(anchor, maxKeyFileBytes))) !== undefined
  const before = new Set(anchored ? [anchor, ...inForce] : inForce)
  // Before the text is looked at: a parser is no place for what a stranger wrote.
  let signedBy = await checkAll(signed, before)
  const config = loadConfig(decode(path, file), path, hostname)
  const own = config.config.requireSignature?.publicKeyFile
  if (own !== undefined && !before.has(own)) signedBy = await checkAll(signed, [own])
  const keyFiles = [...new Set([...(anchored ? [anchor] : []), ...(own === undefined ? [] : [own])])]
  if (inForce.length > 0 && keyFiles.length === 0) {
    throw unsigned(`${path} lacks config.requireSignature, which is in force until the agent is started anew`, path)
  }
  return { config, hash: configHash(file), keyFiles, signedBy }
}

async function checkAll(signed: Signed, keyFiles: Iterable<string>): Promise<string | undefined> {
  let signedBy: string | undefined
  for (const keyFile of keyFiles) signedBy = checkSignature(signed, await keysIn(keyFile), keyFile)
  return signedBy
}

async function keysIn(keyFile: string): Promise<PublicKey[]> {
  try {
    return publicKeysIn(await readTrusted(keyFile, maxKeyFileBytes), keyFile)
  } catch (cause) {
    if (cause instanceof KeepwardError && cause.code === 'config-key-unusable') throw cause
    throw new KeepwardError('config-key-unusable', `The public keys in ${keyFile} cannot be had`, { cause })
  }
}
