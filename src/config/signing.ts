import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { configHash } from './load.ts'
import { readPlain, unlessAbsent } from './read.ts'
import {
  checkSignature,
  keyIdOf,
  keysAbsent,
  maxKeyFileBytes,
  maxSignatureBytes,
  publicKeysIn,
  signConfig,
  signatureFileOf,
} from './signature.ts'
import { maxConfigBytes } from './source.ts'
import { keysFileOf } from './trusted.ts'

/** What a person does with signatures, where the private key is: not on the hosts. All paths are absolute. */

export interface KeyPair {
  readonly key: string
  readonly privateFile: string
  readonly publicFile: string
}

/**
 * Make a key pair in a directory, which is made 0700 where it is missing. Throws `request-invalid` when there is one,
 * `directory-unsafe` or `file-failed`.
 */
export async function makeKeyPair(directory: string): Promise<KeyPair> {
  using dir = openOrMake(directory)
  const names = await dir.list()
  const there = [privateName, publicName].find((name) => names.includes(name))
  if (there !== undefined)
    throw new KeepwardError('request-invalid', `${dir.pathOf(there)} is there already, and stays`)
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await dir.write(privateName, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  await dir.write(publicName, publicKey.export({ format: 'pem', type: 'spki' }), { mode: 0o644 })
  return { key: keyIdOf(publicKey), privateFile: dir.pathOf(privateName), publicFile: dir.pathOf(publicName) }
}

/** Sign a config file with a key that only its owner can read; the signature lies beside it. Throws `file-unsafe`, `config-key-unusable`. */
export async function signFile(file: string, keyFile: string): Promise<{ key: string; signatureFile: string }> {
  const bytes = await readPlain(file, maxConfigBytes)
  using keys = SafeDir.open(dirname(keyFile), { mode: 'any' })
  const pem = keys.readSecret(basename(keyFile)).revealText()
  const signature = signConfig(bytes, pem)
  const signatureFile = signatureFileOf(file)
  using dir = SafeDir.open(dirname(file), { mode: 'any' })
  await dir.write(basename(signatureFile), signature, { mode: 0o644 })
  return { key: keyIdOf(createPublicKey(pem)), signatureFile }
}

export interface Verified {
  readonly key: string
  readonly keysFile: string
  readonly digest: string
}

/**
 * Check a config's signature as anybody may, whoever owns the files: with the keys given, else with those beside it. Throws as
 * checkSignature does, and `config-key-unusable` when there are no keys.
 */
export async function verifyFile(file: string, keysFile = keysFileOf(file)): Promise<Verified> {
  const bytes = await readPlain(file, maxConfigBytes)
  const signature = await unlessAbsent(readPlain(signatureFileOf(file), maxSignatureBytes))
  const keys = await unlessAbsent(readPlain(keysFile, maxKeyFileBytes))
  if (keys === undefined)
    throw keysAbsent(keysFile, 'a signature is verified with it', 'name the public keys with --public-key')
  const key = checkSignature({ path: file, file: bytes, signature }, publicKeysIn(keys, keysFile), keysFile)
  return { key, keysFile, digest: configHash(bytes) }
}

const privateName = 'config-signing.key'
const publicName = 'config-signing.pub'

function openOrMake(directory: string): SafeDir {
  try {
    return SafeDir.open(directory, { mode: 'any' })
  } catch (error) {
    if (!(error instanceof KeepwardError) || errnoOf(error.cause) !== 'ENOENT') throw error
    return SafeDir.open(directory, { create: true })
  }
}
