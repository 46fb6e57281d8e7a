import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'

/**
 * A detached signature of a config file: Ed25519 (RFC 8032) over the first two lines of the signature's own file followed by the
 * config's bytes, so that it is valid for nothing else. Three lines, version 1:
 *
 *     keepward-config-signature 1
 *     key 0123456789abcdef
 *     ed25519 <base64 of 64 bytes>
 */
export function signConfig(file: Uint8Array, privatePem: string): string {
  const key = privateKeyIn(privatePem)
  const head = headFor(keyIdOf(createPublicKey(key)))
  return `${head}ed25519 ${sign(null, signedText(head, file), key).toString('base64')}\n`
}

export const signatureFileOf = (configFile: string): string => `${configFile}.sig`
export const maxSignatureBytes = 4096
export const maxKeyFileBytes = 16_384

export interface PublicKey {
  readonly id: string
  readonly key: KeyObject
}

/** What a signature is asked about. */
export interface Signed {
  /** For messages. */
  readonly path: string
  readonly file: Uint8Array
  /** Undefined when there is none. */
  readonly signature: Uint8Array | undefined
}

/**
 * The id of the key that signed, one of `keys`, which stand in `keyFile`. Throws `config-unsigned` without a signature, and
 * `config-signature-wrong` when it is of another form or version, by another key, or of another file.
 */
export function checkSignature({ path, file, signature }: Signed, keys: readonly PublicKey[], keyFile: string): string {
  if (signature === undefined) {
    throw new KeepwardError('config-unsigned', `${path} has no signature, and ${keyFile} asks for one`, hintFor(path))
  }
  const wrong = (is: string) =>
    new KeepwardError('config-signature-wrong', `${signatureFileOf(path)} ${is}`, hintFor(path))
  const text = Buffer.from(signature).toString('latin1')
  const [, id, base64] = form.exec(text) ?? []
  if (id === undefined || base64 === undefined) throw wrong('is no signature of version 1')
  const found = keys.find((one) => one.id === id)
  const held = keys.map((one) => one.id).join(', ')
  if (found === undefined) throw wrong(`is by the key ${id}, must be by one of ${keyFile}: ${held}`)
  if (verify(null, signedText(headFor(id), file), found.key, Buffer.from(base64, 'base64'))) return id
  throw wrong(`is not of ${path} as it is now`)
}

/** `why`: what asks for the keys. */
export const keysAbsent = (keysFile: string, why: string, hint: string): KeepwardError =>
  new KeepwardError('config-key-unusable', `There is no ${keysFile}, and ${why}`, { hint })

/**
 * The Ed25519 keys of a file of PEM blocks (RFC 7468, RFC 8410), 1 to 16; lines between them are empty or start with #. Throws
 * `config-key-unusable`.
 */
export function publicKeysIn(file: Uint8Array, path: string): PublicKey[] {
  const text = Buffer.from(file).toString('latin1')
  const between = text.replaceAll(publicBlock, '').split('\n')
  const keys = [...text.matchAll(publicBlock)].map(([block]) => publicKeyOf(block))
  const pure = between.every((line) => /^\s*(#.*)?$/.test(line))
  if (pure && keys.length > 0 && keys.length <= 16 && keys.every((one) => one !== undefined)) return keys
  throw unusable(
    `${path} is no file of 1 to 16 Ed25519 public keys in PEM, with nothing else but lines that start with #`,
  )
}

/** The first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes. */
export function keyIdOf(publicKey: KeyObject): string {
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return createHash('sha256').update(raw).digest('hex').slice(0, 16)
}

const form = /^keepward-config-signature 1\nkey ([0-9a-f]{16})\ned25519 ([A-Za-z0-9+/]{86}==)\n$/
const publicBlock = /-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----/g

const headFor = (keyId: string): string => `keepward-config-signature 1\nkey ${keyId}\n`
const signedText = (head: string, file: Uint8Array): Buffer => Buffer.concat([Buffer.from(head), file])
const hintFor = (path: string) => ({ hint: `sign it with \`keepward --config ${path} config sign --key FILE\`` })
const unusable = (message: string): KeepwardError => new KeepwardError('config-key-unusable', message)

function publicKeyOf(pem: string): PublicKey | undefined {
  try {
    const key = createPublicKey(pem)
    return key.asymmetricKeyType === 'ed25519' ? { id: keyIdOf(key), key } : undefined
  } catch {
    return undefined
  }
}

/** No cause: what is said of a private key must not depend on its content. */
function privateKeyIn(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below.
  }
  throw unusable('The key is no Ed25519 private key in PEM without a passphrase')
}
