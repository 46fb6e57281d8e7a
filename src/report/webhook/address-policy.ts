import { BlockList, isIP } from 'node:net'
import { addressBytes, addressFromBytes, canonicalAddress } from '../../base/address.ts'
import type { WebhookSettings } from '../settings.ts'

type Networks = WebhookSettings['allowNetworks']

/**
 * Why nothing is to be sent to an address, or undefined: it is public, one host's, and no address of another kind in disguise; or
 * one of `allowed` has it. IANA special-purpose address registries (RFC 6890), as of 2024.
 */
export function refusalOf(address: string, allowed: Networks): string | undefined {
  const canonical = canonicalAddress(address)
  if (canonical === undefined)
    return isIP(address) === 0 ? 'it is no IP address' : 'it means something on one link only'
  // The kernel sends to the IPv4 address that a mapped one holds.
  const target = embedded(canonical, '::ffff:0:0') ?? canonical
  if (has(blockList(allowed.map(({ address, prefixLength }) => `${address}/${prefixLength}`)), target)) return undefined
  if (target.includes(':')) return refusalOf6(target)
  return kindOf(target)
}

function refusalOf6(address: string): string | undefined {
  // A translator (RFC 6052) sends to the IPv4 address.
  const translated = embedded(address, '64:ff9b::')
  if (translated !== undefined) return kindOf(translated)
  return kindOf(address) ?? (has(globalUnicast, address) ? undefined : 'it is not of the public internet')
}

/** The IPv4 address in the last four bytes, below a prefix of 96 bits. */
function embedded(address: string, prefix: string): string | undefined {
  if (!address.includes(':')) return undefined
  const bytes = addressBytes(address)
  const isBelow = addressBytes(prefix).every((byte, index) => index >= 12 || byte === bytes[index])
  return isBelow ? addressFromBytes(bytes.subarray(12)) : undefined
}

const kindOf = (address: string): string | undefined => special.find(([networks]) => has(networks, address))?.[1]

const has = (networks: BlockList, address: string): boolean =>
  networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', length] = network.split('/')
    list.addSubnet(address, Number(length), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return list
}

/** What IANA has given out of IPv6 (RFC 4291, 2.4): all else is refused. */
const globalUnicast = blockList(['2000::/3'])

const special: readonly (readonly [BlockList, string])[] = (
  [
    [['0.0.0.0/8', '::/128'], 'it names this host (unspecified)'],
    [['127.0.0.0/8', '::1/128'], 'it is a loopback address'],
    [['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], 'it is a private address (RFC 1918)'],
    [['fc00::/7'], 'it is a unique local address (RFC 4193)'],
    [['100.64.0.0/10'], 'it is an address behind the NAT of a provider (RFC 6598)'],
    [['169.254.0.0/16', 'fe80::/10'], 'it is a link-local address'],
    [['fec0::/10'], 'it is a site-local address (RFC 3879)'],
    [['224.0.0.0/4', 'ff00::/8'], 'it is a multicast address'],
    [['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'], 'it is for documentation'],
    [['198.18.0.0/15', '2001:2::/48'], 'it is for benchmarks'],
    // Teredo (2001::/32), ORCHID and others.
    [['192.0.0.0/24', '2001::/23'], 'it is kept for protocols (IANA)'],
    [['192.88.99.0/24', '2002::/16'], 'it is of 6to4 (RFC 7526)'],
    [['64:ff9b:1::/48'], 'it is an IPv4 address translated within one network (RFC 8215)'],
    [['100::/64'], 'whatever is sent there is discarded (RFC 6666)'],
    [['240.0.0.0/4'], 'it is reserved'],
  ] as const
).map(([networks, kind]) => [blockList(networks), kind])
