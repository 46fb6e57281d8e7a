import type { SecretSource } from '../base/secret-source.ts'
import type { ConditionCode } from './condition.ts'
import type { Authentication, RouterSpec } from './spec.ts'

/** What is so with the way in which the hosts of a router know each other, for a person. */
export function judgeAuthentication({ authentication }: RouterSpec): readonly (readonly [ConditionCode, string])[] {
  switch (authentication.kind) {
    case 'none':
      return [['vrrp-unauthenticated', 'adverts bear no signature: who can send as a declared peer is believed']]
    case 'pass':
      return [['vrrp-password', 'the password is clear text in every advert: who hears one knows it']]
    case 'hmac':
      if (authentication.mode === 'enforce') return []
      return [['vrrp-unauthenticated', 'adverts without a signature are believed too (mode: permissive)']]
  }
}

/** Which secrets it takes, and what each is. */
export function secretsOf(
  authentication: Authentication,
): readonly { readonly of: string; readonly source: SecretSource }[] {
  switch (authentication.kind) {
    case 'none':
      return []
    case 'pass':
      return [{ of: 'pass', source: authentication.password }]
    case 'hmac':
      return authentication.keys.map(({ id, file }) => ({ of: `hmac key ${id}`, source: { kind: 'file', path: file } }))
  }
}
