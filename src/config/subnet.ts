import { addressBytes, type Prefix } from '../base/address.ts'

/** Whether `address` lies in the subnet of `prefix`. */
export function contains(prefix: Prefix, address: string): boolean {
  return sameBits(addressBytes(prefix.address), addressBytes(address), prefix.prefixLength)
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return sameBits(addressBytes(a.address), addressBytes(b.address), Math.min(a.prefixLength, b.prefixLength))
}

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4)

/** Whether all bits after the prefix length are `bit`: the network address (0), or IPv4's directed broadcast (1). */
export function hostBitsAre(bit: 0 | 1, prefix: Prefix): boolean {
  const bytes = addressBytes(prefix.address)
  return bytes.every((byte, index) => {
    const mask = hostMask(index, prefix.prefixLength)
    return (byte & mask) === (bit === 1 ? mask : 0)
  })
}

/** RFC 3927 and RFC 4291, 2.5.6: means something on its own link only. */
export const isLinkLocal = (address: string): boolean => inAny(linkLocal, address)

/** The words for an address that no interface may hold and no packet may be sent to, or undefined for a usable one. */
export function unusableKind(address: string): string | undefined {
  return special.find(([block]) => contains(block, address))?.[1]
}

export const isMulticast = (address: string): boolean => inAny(multicast, address)

const block = (address: string, prefixLength: number): Prefix => ({ family: familyOf(address), address, prefixLength })

const linkLocal = [block('169.254.0.0', 16), block('fe80::', 10)]
const multicast = [block('224.0.0.0', 4), block('ff00::', 8)]

/** IANA special-purpose registries (RFC 6890); the first block that fits names the address. */
const special: readonly (readonly [Prefix, string])[] = [
  [block('0.0.0.0', 32), 'the unspecified address'],
  [block('0.0.0.0', 8), 'an address of "this network"'],
  [block('127.0.0.0', 8), 'a loopback address'],
  [block('224.0.0.0', 4), 'a multicast address'],
  [block('255.255.255.255', 32), 'the broadcast address'],
  [block('240.0.0.0', 4), 'a reserved address'],
  [block('::', 128), 'the unspecified address'],
  [block('::1', 128), 'a loopback address'],
  [block('::ffff:0:0', 96), 'an IPv4-mapped address'],
  [block('ff00::', 8), 'a multicast address'],
]

const inAny = (blocks: readonly Prefix[], address: string): boolean => blocks.some((one) => contains(one, address))

function sameBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  if (a.length !== b.length) return false
  return a.every((byte, index) => ((byte ^ (b[index] ?? 0)) & ~hostMask(index, length) & 0xff) === 0)
}

/** The bits of byte `index` that lie after the first `length` bits. */
function hostMask(index: number, length: number): number {
  const networkBits = Math.min(8, Math.max(0, length - index * 8))
  return 0xff >> networkBits
}
