import { createAccount, createUser, fromPublic } from '@nats-io/nkeys'
import { expect, test } from 'vitest'
import { nkeyOf } from './nkey.ts'

// From the keys of NATS' own documentation of NKeys ("nk -gen user"), which nobody uses.
const seed = 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY'

test('nkeyOf() has the public key that the library has, and signs what the library verifies', () => {
  for (let round = 0; round < 10; round++) {
    const pair = createUser()
    const nkey = nkeyOf(Buffer.from(pair.getSeed()).toString())
    const publicKey = pair.getPublicKey()
    expect(nkey?.publicKey).toBe(publicKey)
    const signature = Buffer.from(nkey?.sign('challenge') ?? '', 'base64')
    expect(fromPublic(publicKey).verify(Buffer.from('challenge'), signature)).toBe(true)
  }
})

test('nkeyOf() has the public key of a seed that is known', () => {
  expect(nkeyOf(seed)?.publicKey).toBe('UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4')
})

test.each([
  ['nothing', ''],
  ['a public key', 'UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4'],
  ['the seed of an account', Buffer.from(createAccount().getSeed()).toString()],
  ['a letter that is another', seed.replace('L3UA', 'L4UA')],
  ['a letter too few', seed.slice(0, -1)],
  ['a letter too many', `${seed}A`],
  ['small letters', seed.toLowerCase()],
])('nkeyOf() takes no %s', (_, text) => {
  expect(nkeyOf(text)).toBeUndefined()
})
