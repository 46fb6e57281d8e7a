import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import type { RouterSpec } from '../router/spec.ts'
import { formatVersion, hmacHint, offersHmac, type KeepalivedFeatures } from './features.ts'
import { integerToken, passwordToken, pathToken } from './token.ts'

/** Throws `config-invalid` where the installed keepalived, or VRRP, cannot do what is wanted. */
export function refuseAuthentication(
  { id, authentication, vrrpVersion }: RouterSpec,
  features: KeepalivedFeatures,
  password: Secret | undefined,
): void {
  const refuse = (says: string, hint: string) => {
    throw new KeepwardError('config-invalid', `Cannot render the keepalived config of router ${id}: ${says}`, { hint })
  }
  const hasOption = features.options.has('VRRP_AUTH')
  switch (authentication.kind) {
    case 'none':
      return
    case 'hmac': {
      if (offersHmac(features)) return
      const version = `keepalived is version ${formatVersion(features.version)}`
      const found = hasOption ? version : `${version}, built without VRRP_AUTH`
      return refuse(`${found}, and hmac needs 2.4.3 or newer, built with VRRP_AUTH`, hmacHint)
    }
    case 'pass':
      if (vrrpVersion !== 2) refuse('VRRP version 3 has no password', 'use authentication: { hmac: ... }, or none')
      if (!hasOption) refuse('this keepalived was built without VRRP_AUTH', 'install one that has it, or use none')
      if (password === undefined) return refuse('its password was not read', 'see that its passFile is there')
      // keepalived would use the first 8 without a word.
      if (password.revealText().length > 8)
        refuse(`its password has ${String(password.revealText().length)} characters, must have 1 to 8`, tooLong)
  }
}

const tooLong = 'VRRPv2 carries 8, in clear text: shorten it on all hosts at one time; for a secret, use hmac'

/** The block of keepalived.conf, as its head and its lines; no lines: no authentication. */
export function authenticationLines(
  { authentication }: RouterSpec,
  password: Secret | undefined,
): [head: string, lines: readonly string[]] {
  if (authentication.kind === 'hmac') return ['auth_hmac', hmacLines(authentication)]
  if (authentication.kind === 'none' || password === undefined) return ['authentication', []]
  return ['authentication', ['auth_type PASS', `auth_pass "${passwordToken(password)}"`]]
}

/** The keys stay in their files: `keepalived.conf` names them. A repeated advert is told by its time. */
function hmacLines({ keys, activeKey, mode }: Extract<RouterSpec['authentication'], { kind: 'hmac' }>): string[] {
  const sorted = keys.toSorted((a, b) => a.id - b.id)
  return [
    ...sorted.map(({ id, file }) => `key ${keyId(id)} file:${pathToken('key file', file)}`),
    `active_key ${keyId(activeKey)}`,
    'anti_replay time',
    `mode ${mode === 'permissive' ? 'permissive' : 'enforce'}`,
  ]
}

const keyId = (id: number): string => String(integerToken('key id', id, 1, 255))
