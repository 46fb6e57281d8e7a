import { expect, test } from 'vitest'
import { Secret } from '../../base/secret.ts'
import { messageId, signedHeaders } from './signature.ts'

const key = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
const signatureOf = (secret: string) => signedHeaders('msg_1', '{"a":"ä"}', new Secret(secret), 1_790_000_000)

// printf '%s' 'msg_1.1790000000.{"a":"ä"}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f -binary | base64
test('signedHeaders() signs id, timestamp and body as openssl does', () => {
  expect(signatureOf(`${key}\n`)).toEqual({
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1790000000',
    'webhook-signature': 'v1,nzg4mi1MC0deRNrtYgRiIoLez/oKsq5WAkGotZhILh0=',
  })
})

test('signedHeaders() signs with each key while receivers change from one to the next', () => {
  const { 'webhook-signature': both } = signatureOf(`${key}\nwhsec_a2tra2tra2tra2tra2tra2tra2tra2tr\n`)
  expect(both).toBe('v1,nzg4mi1MC0deRNrtYgRiIoLez/oKsq5WAkGotZhILh0= v1,ZpWlkAlc+Agp6/R5otx0pVeD9QU35cFlrb5Ro8NZwQk=')
})

test.each(['', 'pl4nted', 'whsec_pl4nted', `whsec_${'A'.repeat(30)}`, `whsec_${'A'.repeat(88)}`, `${key} `.repeat(5)])(
  'signedHeaders() does not take %j for a key, nor repeats it',
  (secret) => {
    expect(() => signatureOf(secret)).toThrow(
      'The secret of a webhook must be 1 to 4 lines, each whsec_ and 24 to 64 bytes in base64',
    )
  },
)

test('messageId() is the same for the same event and holds no dot', () => {
  expect(messageId('host.1:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.2:7')).toBe(
    'msg_J2r1xFvY1uIdpvSDhZ4H0XukMcea6i6Xg-FxX_S6n3o',
  )
})
