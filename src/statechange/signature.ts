import { createHmac, timingSafeEqual } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'

/**
 * The headers that a native sender adds to Neutron's two. All but the interval are there, or the message is not a native
 * one.
 */
export const proofHeaders = {
  /** CLOCK_BOOTTIME of the change in nanoseconds, decimal; the same in each try of one message. */
  sequence: 'x-keepward-sequence',
  /** The kernel's boot id, within which sequences can be compared. */
  boot: 'x-keepward-boot',
  /** When this try was sent, Unix milliseconds, decimal. */
  time: 'x-keepward-time',
  /** Which key signs. */
  key: 'x-keepward-key',
  /** Seconds between two messages of this sender, decimal; only of a sender that repeats itself. */
  interval: 'x-keepward-interval',
  /** HMAC-SHA256 of all the others, 64 lower-case hexadecimal digits. */
  signature: 'x-keepward-signature',
} as const

/** What a signature vouches for. Texts are as they stand in their headers, so none holds a newline. */
export interface Proof {
  readonly router: string
  readonly state: string
  readonly sequence: bigint
  readonly boot: string
  readonly sentMs: number
  /** The key's id. */
  readonly key: string
  readonly intervalS: number | undefined
}

/** The signature in lower-case hexadecimal digits. */
export function sign(secret: Secret, proof: Proof): string {
  return mac(secret, proof).toString('hex')
}

/** Takes the same time wherever a wrong signature differs; false for one of another form. */
export function isSignedBy(secret: Secret, proof: Proof, signature: string): boolean {
  return signatureForm.test(signature) && timingSafeEqual(Buffer.from(signature, 'hex'), mac(secret, proof))
}

/** The key in the content of a key file. Throws `key-invalid`, without a word of the content. */
export function readKey(content: Secret): Secret {
  const text = content.revealText()
  if (keyFileForm.test(text)) return new Secret(Buffer.from(text.slice(0, 64), 'hex'))
  throw new KeepwardError('key-invalid', 'The key is not 64 hexadecimal digits and a newline', {
    hint: 'make one with: openssl rand -hex 32',
  })
}

const signatureForm = /^[0-9a-f]{64}$/
const keyFileForm = /^[0-9a-fA-F]{64}\n$/

/** Told from what else the key may ever sign, and from later forms of this. */
const versionLine = 'keepward-statechange-1'

/**
 * One line for each field, always as many: a header's value holds no newline, so no two proofs have the same text. No
 * interval is an empty line.
 */
function mac(secret: Secret, { router, state, sequence, boot, sentMs, key, intervalS }: Proof): Buffer {
  const lines = [versionLine, router, state, sequence, boot, sentMs, key, intervalS ?? '']
  return createHmac('sha256', secret.revealBytes()).update(lines.join('\n')).digest()
}
