import { addressBytes, type Prefix } from '../base/address.ts'
import type { RouterSpec } from '../router/spec.ts'

/**
 * Whether `peer` is known to be on the HA link: a link-local IPv6 address, or within a prefix of an address that the HA
 * interface always holds.
 */
export function isOnLink(spec: RouterSpec, peer: string): boolean {
  if (isLinkLocal(peer)) return true
  const own = spec.interfaces.find(({ name }) => name === spec.haInterface)
  return own?.addresses.some((prefix) => contains(prefix, peer)) ?? false
}

/** Of IPv6 (RFC 4291, 2.5.6). */
export const isLinkLocal = (address: string): boolean => contains(linkLocal, address)

const linkLocal: Prefix = { family: 6, address: 'fe80::', prefixLength: 10 }

function contains(prefix: Prefix, address: string): boolean {
  const [network, candidate] = [addressBytes(prefix.address), addressBytes(address)]
  if (network.length !== candidate.length) return false
  return network.every((byte, at) => {
    const bits = Math.min(8, Math.max(0, prefix.prefixLength - at * 8))
    return (byte ^ (candidate[at] ?? 0)) >> (8 - bits) === 0
  })
}
