import { isOnLink } from '../keepalived/on-link.ts'
import { silentInterfaces } from '../router/silence.ts'
import type { RouterSpec } from '../router/spec.ts'
import { addressWord, interfaceWord, prefixWord, ttlWord } from '../base/words.ts'

export const filterTable = 'keepward_vrrp'
export const strangerSets = { 4: 'strangers4', 6: 'strangers6' } as const
/** A stranger is forgotten so long after his last packet. */
export const strangerMemoryMs = 300_000
/** Of each family: a flood of made-up sources takes no more room than this. */
const mostStrangers = 64
/** RFC 9568, 5.1.1.3 and 5.1.2.3: no router is between. */
const onLinkTtl = 255

/**
 * The table in the language of nft(8): of IP
 * protocol 112 only what declared peers send on the HA interface is let through, of what else comes in nothing is looked
 * at. In the hook `input`, which is the last before raw sockets get their copy and sees multicast too, while VRRP that
 * others route through here passes by; at -300, before any chain that could hide a stranger by dropping him. And what a
 * backup could say is dropped on its way out. Canonical: equal text is equal meaning. Every word is checked again here.
 * Throws `config-invalid`.
 */
export function renderFilter(spec: RouterSpec): string {
  return [
    `table inet ${filterTable} {`,
    ...strangerSet(4),
    ...strangerSet(6),
    '  chain input {',
    '    type filter hook input priority -300; policy accept;',
    '    meta l4proto != 112 accept',
    ...sources(spec).map((from) => `    iifname "${interfaceWord(spec.haInterface, 'HA interface')}" ${from} accept`),
    // A full set ends the rule, not the packet's way: hence the drop stands alone.
    `    update @${strangerSets[4]} { ip saddr . iifname counter }`,
    `    update @${strangerSets[6]} { ip6 saddr . iifname counter }`,
    '    drop',
    '  }',
    ...silence(spec),
    '}',
    '',
  ].join('\n')
}

/**
 * While an interface has no IPv6 address, the kernel reports the groups of a router (ff02::2) from `::` all the same, and
 * a switch learns from it where a hardware address is that both hosts may share (LP#1667756). A primary has addresses.
 */
function silence(spec: RouterSpec): string[] {
  const silent = silentInterfaces(spec).map((name) => `"${interfaceWord(name, 'name of an interface')}"`)
  if (silent.length === 0) return []
  return [
    '  chain output {',
    '    type filter hook output priority 300; policy accept;',
    `    oifname { ${[...new Set(silent)].sort().join(', ')} } ip6 saddr :: drop`,
    '  }',
  ]
}

function strangerSet(family: 4 | 6): string[] {
  return [
    `  set ${strangerSets[family]} {`,
    `    type ipv${String(family)}_addr . ifname`,
    `    size ${String(mostStrangers)}`,
    '    flags dynamic,timeout',
    `    timeout ${String(strangerMemoryMs / 1000)}s`,
    '  }',
  ]
}

/** Who is heard, each as a match of source and hop limit. */
function sources(spec: RouterSpec): string[] {
  const { advertise, marker } = spec
  const peers = advertise.peers?.map((peer) => addressWord(peer, marker.family, 'peer'))
  if (peers === undefined) return neighbours(spec)
  const near = peers.filter((peer) => advertise.kind === 'multicast' || isOnLink(spec, peer))
  const far = peers.filter((peer) => !near.includes(peer))
  const least = advertise.kind === 'unicast' ? (advertise.minTtl ?? onLinkTtl) : onLinkTtl
  return [...among(marker.family, near, onLinkTtl), ...among(marker.family, far, least)]
}

/** Nobody is declared: whoever has an address of the link. Where its addresses are not ours to know, the hop limit says it. */
function neighbours({ haInterface, interfaces, marker: { family } }: RouterSpec): string[] {
  const own = interfaces.find(({ name }) => name === haInterface)?.addresses ?? []
  const subnets = own
    .filter((prefix) => prefix.family === family)
    .map((one) => prefixWord(one, 'address of the HA interface'))
  if (family === 6) return [...new Set([...subnets, 'fe80::/10'])].flatMap((one) => among(family, [one], onLinkTtl))
  return subnets.length === 0
    ? [`meta nfproto ipv4 ${hopLimit(family, onLinkTtl)}`]
    : subnets.flatMap((one) => among(family, [one], onLinkTtl))
}

function among(family: 4 | 6, from: readonly string[], least: number): string[] {
  if (from.length === 0) return []
  const list = [...new Set(from)].sort().join(', ')
  return [`${family === 4 ? 'ip' : 'ip6'} saddr { ${list} } ${hopLimit(family, least)}`]
}

const hopLimit = (family: 4 | 6, least: number): string =>
  `${family === 4 ? 'ip ttl' : 'ip6 hoplimit'} >= ${ttlWord(least, 'least hop limit')}`
