import { isIP } from 'node:net'

/** An IP address with its prefix length, in canonical text (RFC 5952 for IPv6). */
export interface Prefix {
  readonly family: 4 | 6
  readonly address: string
  readonly prefixLength: number
}

/** Canonical text of an IP address without prefix or zone, or undefined when `text` is none. */
export function canonicalAddress(text: string): string | undefined {
  switch (isIP(text)) {
    case 4:
      return text
    case 6:
      return text.includes('%') ? undefined : canonicalIpv6(text)
    default:
      return undefined
  }
}

/** Parse `10.0.0.1/24` or `2001:db8::1/64`; undefined when it is not exactly that. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf('/')
  const address = canonicalAddress(slash < 0 ? '' : text.slice(0, slash))
  const length = text.slice(slash + 1)
  if (address === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined
  const family = address.includes(':') ? 6 : 4
  const prefixLength = Number(length)
  return prefixLength > (family === 6 ? 128 : 32) ? undefined : { family, address, prefixLength }
}

export const formatPrefix = (prefix: Prefix): string => `${prefix.address}/${String(prefix.prefixLength)}`

/** The 4 or 16 bytes of a canonical address, network order. */
export function addressBytes(address: string): Uint8Array {
  if (!address.includes(':')) return Uint8Array.from(address.split('.', 4), Number)
  const bytes = new Uint8Array(16)
  const [head = '', tail] = address.split('::', 2)
  writeGroups(bytes, head, 0)
  if (tail !== undefined && tail !== '') writeGroups(bytes, tail, 16 - 2 * tail.split(':').length)
  return bytes
}

/** Canonical text has no dotted ending (see {@link canonicalIpv6}), so every group is two bytes. */
function writeGroups(bytes: Uint8Array, text: string, from: number): void {
  if (text === '') return
  for (const [index, group] of text.split(':').entries()) {
    const value = Number.parseInt(group, 16)
    bytes[from + 2 * index] = value >> 8
    bytes[from + 2 * index + 1] = value & 0xff
  }
}

/** Canonical text of 4 or 16 bytes, network order. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16))
  return canonicalIpv6(groups.join(':'))
}

/** The URL parser serialises IPv6 hosts as RFC 5952 asks (WHATWG URL, "host serializer"). */
function canonicalIpv6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1)
}
