import { createPrivateKey, createPublicKey, sign } from 'node:crypto'

/** What proves who a user of NATS is (NATS ADR-14). */
export interface Nkey {
  /** As nats-server's config has it: `U...`. */
  readonly publicKey: string
  /** Ed25519 (RFC 8032), in base64. */
  sign(challenge: string): string
}

/**
 * Of the seed of a user (`SU...`); undefined: it is none. With Node.js's own Ed25519: the library's, in JavaScript, holds up the event loop for
 * tens of milliseconds at each connection.
 */
export function nkeyOf(seed: string): Nkey | undefined {
  const bytes = seed.length === 58 ? fromBase32(seed) : undefined
  if (bytes === undefined || !bytes.subarray(0, 2).equals(userSeed)) return undefined
  if (crc16(bytes.subarray(0, -2)) !== bytes.readUInt16LE(34)) return undefined
  const der = Buffer.concat([pkcs8, bytes.subarray(2, -2)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  bytes.fill(0)
  const publicBytes = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
  const body = Buffer.concat([user, publicBytes])
  const check = Buffer.alloc(2)
  check.writeUInt16LE(crc16(body))
  return {
    publicKey: toBase32(Buffer.concat([body, check])),
    sign: (challenge) => sign(null, Buffer.from(challenge), key).toString('base64'),
  }
}

/** `U`, and `SU`, as five bits a letter. */
const user = Buffer.from([0xa0])
const userSeed = Buffer.from([0x95, 0x00])

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** RFC 4648, without padding. */
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function fromBase32(text: string): Buffer | undefined {
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8))
  let [bits, value, at] = [0, 0, 0]
  for (const letter of text) {
    const five = letters.indexOf(letter)
    if (five < 0) return undefined
    value = ((value << 5) | five) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = (value >>> bits) & 0xff
  }
  return bytes
}

/** Of so many bytes that five bits a letter leave none over. */
function toBase32(bytes: Buffer): string {
  let [bits, value, text] = [0, 0, '']
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) text += letters.charAt((value >>> (bits - 5)) & 31)
  }
  return text
}

/** CRC-16/XMODEM. */
function crc16(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff
  }
  return crc
}
