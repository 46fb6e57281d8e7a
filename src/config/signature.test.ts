import { describe, expect, test } from 'vitest'
import { checkSignature, publicKeysIn, signConfig } from './signature.ts'

/** Made with openssl genpkey, and the signature with openssl pkeyutl -sign -rawin. */
const privatePem = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINmzcrV/fy4jWF9NGl2vUV3SoFwmVCC+1qTMf1QSO9lF
-----END PRIVATE KEY-----
`
const publicPem = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAF967ex8Sf+jkGKwq5SyanopUW8kxnQWdmADQdqdLvnY=
-----END PUBLIC KEY-----
`
const otherPem = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEApA++XNdYdLaC1t3JRxXZmU2ub9YuuQ7cJ+RK2NNaF5Q=
-----END PUBLIC KEY-----
`
const ed448Pem = `-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoAKtu6OCGip8KhimBLCqVKcTzymh1zkaJgfJYLGStxaamP2o5g
XThL1RYl19c8H7rC1JwbaWubZhYA
-----END PUBLIC KEY-----
`
const file = Buffer.from('version: 1\nrouters: []\n')
const base64 = 'y9CTX6arKcsitGwU6ODYPBQxnDGZ70muictKtmHiVLScdDz+mRUmw6lUX2vXsR3mEJhzMrCpPpLB4+VVw1SOBw=='
const signature = `keepward-config-signature 1\nkey f19eb29a3afd699e\ned25519 ${base64}\n`

const keysOf = (...pems: readonly string[]) => publicKeysIn(Buffer.from(pems.join('')), '/etc/keys.pub')
const both = keysOf(publicPem, otherPem)
const check = (text: string | undefined, of: Uint8Array = file, keys = both) =>
  checkSignature(
    { path: '/etc/agent.yaml', file: of, signature: text === undefined ? undefined : Buffer.from(text) },
    keys,
    '/etc/keys.pub',
  )

test('signConfig() signs as OpenSSL does (RFC 8032: Ed25519 is deterministic)', () => {
  expect(signConfig(file, privatePem)).toBe(signature)
})

describe('checkSignature()', () => {
  test('takes a signature by any of the keys, and says by which', () => {
    expect(check(signature)).toBe('f19eb29a3afd699e')
    expect(check(signature, file, keysOf(publicPem))).toBe('f19eb29a3afd699e')
  })

  test('refuses with config-unsigned when there is none', () => {
    expect(() => check(undefined)).toThrow(
      expect.objectContaining({
        code: 'config-unsigned',
        message: '/etc/agent.yaml has no signature, and /etc/keys.pub asks for one',
        hint: 'sign it with `keepward --config /etc/agent.yaml config sign --key FILE`',
      }),
    )
  })

  const swapped = base64.replace('y9', '9y')

  test.each<readonly [what: string, text: string, of: string, says: string]>([
    [
      'a byte of the file is another',
      signature,
      'version: 1\nrouters: [ ]\n',
      'is not of /etc/agent.yaml as it is now',
    ],
    ['the file is longer', signature, 'version: 1\nrouters: []\n\n', 'is not of /etc/agent.yaml as it is now'],
    ['the signature is another', signature.replace(base64, swapped), '', 'is not of /etc/agent.yaml as it is now'],
    [
      'it names another key that is wanted',
      signature.replace('f19eb29a3afd699e', 'e41fbbc31b21465a'),
      '',
      'is not of /etc/agent.yaml as it is now',
    ],
    [
      'it names a key that is not wanted',
      signature.replace('f19e', '0000'),
      '',
      'is by the key 0000b29a3afd699e, must be by one of /etc/keys.pub: f19eb29a3afd699e, e41fbbc31b21465a',
    ],
    ['it is of another version', signature.replace('signature 1', 'signature 2'), '', 'is no signature of version 1'],
    ['it is empty', '', '', 'is no signature of version 1'],
    ['something follows it', `${signature}\n`, '', 'is no signature of version 1'],
    ['it is cut short', signature.slice(0, -1), '', 'is no signature of version 1'],
  ])('refuses with config-signature-wrong when %s', (_what, text, of, says) => {
    expect(() => check(text, of === '' ? file : Buffer.from(of))).toThrow(
      expect.objectContaining({ code: 'config-signature-wrong', message: `/etc/agent.yaml.sig ${says}` }),
    )
  })

  test('refuses a signature over the bare file, without the words that say what it is for', () => {
    // openssl pkeyutl -sign -rawin over the file alone.
    const bare = 'CAQVuw6fe8jU6OwjaMPhdOysxDnvqh9giSrM8apRSKe2o0vDOJCTlI4rpwgRMvWBJfPIv9oVav55Yb7faPqSAw=='
    expect(() => check(signature.replace(base64, bare))).toThrow('is not of /etc/agent.yaml as it is now')
  })
})

describe('publicKeysIn()', () => {
  test('gives each key with its id, whatever stands in lines that start with #', () => {
    expect(keysOf('# this year\n', publicPem, '\n# next year\n', otherPem).map(({ id }) => id)).toEqual([
      'f19eb29a3afd699e',
      'e41fbbc31b21465a',
    ])
  })

  test.each<readonly [what: string, text: string]>([
    ['nothing', ''],
    ['no key', '# later\n'],
    ['a key of another kind', ed448Pem],
    ['a key of another kind beside ours', publicPem + ed448Pem],
    ['a private key', privatePem],
    ['a private key beside ours', publicPem + privatePem],
    ['words', `${publicPem}this year\n`],
    ['half a key', publicPem.slice(0, -30)],
    ['a key with a flaw', publicPem.replace('MCow', 'MCox')],
    ['seventeen keys', publicPem.repeat(17)],
  ])('refuses a file with %s', (_what, text) => {
    expect(() => keysOf(text)).toThrow(
      expect.objectContaining({
        code: 'config-key-unusable',
        message:
          '/etc/keys.pub is no file of 1 to 16 Ed25519 public keys in PEM, with nothing else but lines that start with #',
      }),
    )
  })
})

test.each([publicPem, ed448Pem, 'x', ''])(
  'signConfig() refuses what is no private key, and shows nothing of it',
  (pem) => {
    expect(() => signConfig(file, pem)).toThrow(
      expect.objectContaining({
        code: 'config-key-unusable',
        message: 'The key is no Ed25519 private key in PEM without a passphrase',
      }),
    )
  },
)
