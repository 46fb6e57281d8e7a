import { describe, expect, test } from 'vitest'
import { Secret } from '../base/secret.ts'
import { isSignedBy, readKey, sign, type Proof } from './signature.ts'

const digits = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const secret = new Secret(Buffer.from(digits, 'hex'))
const proof: Proof = {
  router: 'r1',
  state: 'primary',
  sequence: 3_333_469_827_885n,
  boot: '6f1c2f6e-3b0a-4c58-9d8e-2a4b7c90e1d3',
  sentMs: 1_795_250_000_123,
  key: 'r1',
  intervalS: 10,
}

/** Of the lines in {@link proof}, by `openssl dgst -sha256 -mac HMAC -macopt hexkey:...`. */
const signed = '523d68022194e6e5b7aa7df3dfa9277c3e391fb1104b279ade833a58d68f0e04'

describe('sign()', () => {
  test('makes the HMAC-SHA256 that openssl makes (RFC 2104)', () => {
    expect(sign(secret, proof)).toBe(signed)
  })

  test('signs an empty line when there is no interval', () => {
    expect(sign(secret, { ...proof, intervalS: undefined })).toBe(
      '345b528b7796bee2ee43605b7507a5590877a463c8de7865179eba0408d6f427',
    )
  })
})

describe('isSignedBy()', () => {
  test('is true of what was signed', () => {
    expect(isSignedBy(secret, proof, signed)).toBe(true)
  })

  test.each<Partial<Proof>>([
    { router: 'r2' },
    { state: 'backup' },
    { state: 'master' },
    { sequence: 3_333_469_827_886n },
    { boot: '6f1c2f6e-3b0a-4c58-9d8e-2a4b7c90e1d4' },
    { sentMs: 1_795_250_000_124 },
    { key: 'r2' },
    { intervalS: 11 },
    { intervalS: undefined },
  ])('is false when the message has another %o', (other) => {
    expect(isSignedBy(secret, { ...proof, ...other }, signed)).toBe(false)
  })

  test('is false of another key', () => {
    expect(isSignedBy(new Secret(Buffer.alloc(32)), proof, signed)).toBe(false)
  })

  test.each([
    ['nothing', ''],
    ['upper-case digits', signed.toUpperCase()],
    ['a digit less', signed.slice(1)],
    ['a digit more', `${signed}0`],
    ['a newline more', `${signed}\n`],
    ['the last digit changed', `${signed.slice(0, 63)}8`],
    ['another alphabet', 'z'.repeat(64)],
  ])('is false of a signature with %s', (_what, signature) => {
    expect(isSignedBy(secret, proof, signature)).toBe(false)
  })
})

describe('readKey()', () => {
  test('reads 64 digits of either case and a newline', () => {
    expect(readKey(new Secret(`${digits}\n`)).revealBytes()).toEqual(secret.revealBytes())
    expect(readKey(new Secret(`${digits.toUpperCase()}\n`)).revealBytes()).toEqual(secret.revealBytes())
  })

  test.each([
    '',
    '\n',
    digits,
    `${digits}\r\n`,
    `${digits}\n\n`,
    ` ${digits}\n`,
    `${digits}0\n`,
    `${digits.slice(1)}\n`,
    `${digits.slice(1)}g\n`,
  ])('refuses %j and repeats none of it', (text) => {
    expect(() => readKey(new Secret(text))).toThrow(
      expect.objectContaining({ code: 'key-invalid', message: 'The key is not 64 hexadecimal digits and a newline' }),
    )
  })
})
