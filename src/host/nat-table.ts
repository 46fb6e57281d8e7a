import type { FloatingAddress, RouterSpec, SourceNat } from '../router/spec.ts'
import { addressWord, interfaceWord, prefixWord } from '../base/words.ts'

export const natTable = 'keepward_nat'

/**
 * The router's address translation in the language of nft(8): the same text on every host and in every role, since packets come only
 * to the one that holds the addresses. Canonical: equal text is equal meaning. Undefined: there is none. Every word is
 * checked again here. Throws `config-invalid`.
 */
export function renderNat({ nat }: RouterSpec): string | undefined {
  if (nat === undefined) return undefined
  const families = [4, 6] as const
  const floating = (family: 4 | 6) => nat.floating.filter(({ outside }) => familyOf(outside) === family)
  return [
    `table inet ${natTable} {`,
    '  chain prerouting {',
    '    type nat hook prerouting priority -100; policy accept;',
    ...families.flatMap((family) => inwards(family, floating(family))),
    '  }',
    '  chain postrouting {',
    '    type nat hook postrouting priority 100; policy accept;',
    // An advert says where it comes from, whatever is translated on its way.
    '    meta l4proto 112 accept',
    ...families.flatMap((family) => outwards(family, floating(family))),
    ...nat.sources.flatMap((one) => sourceRules(one, floating)),
    '  }',
    '}',
    '',
  ].join('\n')
}

function inwards(family: 4 | 6, floating: readonly FloatingAddress[]): string[] {
  if (floating.length === 0) return []
  const pairs = floating.map(
    ({ inside, outside }) =>
      `${addressWord(outside, family, 'outer address')} : ${addressWord(inside, family, 'inner address')}`,
  )
  return [`    dnat ${ip(family)} to ${ip(family)} daddr map { ${pairs.join(', ')} }`]
}

/** By the interface of the outer address; and back inside, so that neighbours answer by way of the router. */
function outwards(family: 4 | 6, floating: readonly FloatingAddress[]): string[] {
  if (floating.length === 0) return []
  const to = (of: readonly FloatingAddress[]) => {
    const pairs = of.map(
      ({ inside, outside }) =>
        `${addressWord(inside, family, 'inner address')} : ${addressWord(outside, family, 'outer address')}`,
    )
    return `snat ${ip(family)} to ${ip(family)} saddr map { ${pairs.join(', ')} }`
  }
  const interfaces = [...new Set(floating.map((one) => one.interface))]
  return [
    ...interfaces.map((name) => `    ${leavesBy(name)} ${to(floating.filter((one) => one.interface === name))}`),
    `    ${toFloating(family, floating)} ${to(floating)}`,
  ]
}

function sourceRules(
  { from, interface: name, to }: SourceNat,
  floatingOf: (family: 4 | 6) => readonly FloatingAddress[],
): string[] {
  return from.flatMap((prefix) => {
    const { family } = prefix
    const target =
      to === undefined ? 'masquerade' : `snat ${ip(family)} to ${addressWord(to, family, 'source address')}`
    const rule = `${ip(family)} saddr ${prefixWord(prefix, 'network')} ${target}`
    const floating = floatingOf(family)
    const back = floating.length === 0 ? [] : [`    ${toFloating(family, floating)} ${rule}`]
    return [`    ${leavesBy(name)} ${rule}`, ...back]
  })
}

/** A connection to an outer address that was led inside. */
const toFloating = (family: 4 | 6, floating: readonly FloatingAddress[]): string =>
  `ct status dnat ${ip(family)} daddr { ${floating.map(({ inside }) => addressWord(inside, family, 'inner address')).join(', ')} }`

const leavesBy = (name: string): string => `oifname "${interfaceWord(name, 'interface')}"`
const ip = (family: 4 | 6): string => (family === 4 ? 'ip' : 'ip6')
const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4)
