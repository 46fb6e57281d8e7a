import { createHmac, hash } from 'node:crypto'
import { KeepwardError } from '../../base/error.ts'
import type { Secret } from '../../base/secret.ts'

const maxKeys = 4

/**
 * Headers that prove who sent a body, and when, by Standard Webhooks 1.0.0
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), so that its libraries verify them:
 * `webhook-signature` has `v1,` and the HMAC-SHA256 in base64 of `id.timestamp.body`, once for each key. `atS`: Unix seconds.
 * Throws `key-invalid`.
 */
export function signedHeaders(id: string, body: string, secret: Secret, atS: number) {
  const signature = keysIn(secret).map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${atS}.${body}`).digest('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': String(atS), 'webhook-signature': signature.join(' ') }
}

/** Of an event, the same each time that it is told. A dot would let id and timestamp be divided in another way. */
export const messageId = (eventId: string): string => `msg_${hash('sha256', eventId, 'base64url')}`

/** Several, each on its line, while receivers change from one to the next. */
function keysIn(secret: Secret): readonly Buffer[] {
  const words = secret.revealText().split(/\s+/).filter(Boolean)
  if (words.length === 0 || words.length > maxKeys) throw notKeys()
  return words.map((word) => {
    const [, text = ''] = /^whsec_([A-Za-z0-9+/]{32,86}={0,2})$/.exec(word) ?? []
    const key = Buffer.from(text, 'base64')
    if (key.length < 24 || key.length > 64) throw notKeys()
    return key
  })
}

const notKeys = (): KeepwardError =>
  new KeepwardError(
    'key-invalid',
    `The secret of a webhook must be 1 to ${maxKeys} lines, each whsec_ and 24 to 64 bytes in base64`,
    { hint: 'make one with: echo "whsec_$(openssl rand -base64 32)"' },
  )
