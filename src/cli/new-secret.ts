import { randomBytes, randomInt } from 'node:crypto'
import { createUser } from '@nats-io/nkeys'
import { Secret } from '../base/secret.ts'

/** Without those that a person takes for another: 0 O, 1 I l. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'

/** As many as VRRPv2 carries: 46 bits. */
export const newPassword = (): Secret =>
  new Secret(Array.from({ length: 8 }, () => alphabet[randomInt(alphabet.length)]).join(''))

/** As keepalived reads it from a file. */
export const newHmacKey = (): Secret => new Secret(`hex:${randomBytes(32).toString('hex')}`)

/** As the state-change server reads it from a source. */
export const newSenderKey = (): Secret => new Secret(randomBytes(32).toString('hex'))

/** The seed of a user's NKey (NATS ADR-14), from which the public key follows. */
export const newNkeySeed = (): Secret => new Secret(createUser().getSeed())

/** As Standard Webhooks 1.0.0 writes a symmetric secret. */
export const newWebhookKey = (): Secret => new Secret(`whsec_${randomBytes(32).toString('base64')}`)
