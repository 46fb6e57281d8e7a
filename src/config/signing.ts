import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { configHash } from './load.ts'
import { readPlain, unlessAbsent } from './read.ts'
import { isMap, valueAt } from './schema-findings.ts'
import {
  checkSignature,
  keyIdOf,
  maxKeyFileBytes,
  maxSignatureBytes,
  publicKeysIn,
  signConfig,
  signatureFileOf,
} from './signature.ts'
import { maxConfigBytes, readSource } from './source.ts'
import { anchorOf } from './trusted.ts'

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
  const pem = keys.readSecret(basename(keyFile))
  const signature = signConfig(bytes, pem)
  const signatureFile = signatureFileOf(file)
  using dir = SafeDir.open(dirname(file), { mode: 'any' })
  await dir.write(basename(signatureFile), signature, { mode: 0o644 })
  return { key: keyIdOf(createPublicKey(pem)), signatureFile }
}

export interface Verified {
  readonly key: string
  readonly publicKeyFile: string
  readonly digest: string
}

/**
 * Check a config's signature as anybody may, whoever owns the files: with the keys given, else with those beside it, else with those
 * that it names. Throws as checkSignature does, and `request-invalid` when there are none.
 */
export async function verifyFile(file: string, givenKeys: string | undefined): Promise<Verified> {
  const bytes = await readPlain(file, maxConfigBytes)
  const signature = await unlessAbsent(readPlain(signatureFileOf(file), maxSignatureBytes))
  const publicKeyFile = givenKeys ?? (await keysFor(file, bytes))
  const keys = publicKeysIn(await readPlain(publicKeyFile, maxKeyFileBytes), publicKeyFile)
  const key = checkSignature({ path: file, file: bytes, signature }, keys, publicKeyFile)
  return { key, publicKeyFile, digest: configHash(bytes) }
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

async function keysFor(file: string, bytes: Buffer): Promise<string> {
  const anchor = anchorOf(file)
  if ((await unlessAbsent(readPlain(anchor, maxKeyFileBytes))) !== undefined) return anchor
  const named = valueAt(readSource(bytes.toString('utf8')).value, ['config', 'requireSignature'])
  if (isMap(named) && typeof named['publicKeyFile'] === 'string') return named['publicKeyFile']
  throw new KeepwardError('request-invalid', `${file} names no public keys, and there is no ${anchor}`, {
    hint: 'name them with --public-key',
  })
}
