import { compare, parseSemVer } from '@nats-io/nats-core/internal'

/** https://advisories.nats.io: flaws of a server that agents talk to, by the versions from which and up to which it has them. */
const advisories: Readonly<Record<string, readonly (readonly [from: string, repaired: string])[]>> = {
  'CVE-2023-47090': [
    ['0.0.0', '2.9.23'],
    ['2.10.0', '2.10.2'],
  ],
  'GHSA-9983-vrx2-fg9c': [
    ['0.0.0', '2.11.15'],
    ['2.12.0', '2.12.6'],
  ],
  'NATS-2026-16, NATS-2026-18': [
    ['0.0.0', '2.11.16'],
    ['2.12.0', '2.12.7'],
  ],
}
/** All of them are mended in it, whatever was mended in older ones. */
const wanted = '2.14.0'

/** What is weak about a server and the way to it; undefined: nothing that is known. */
export function weaknessOf(version: string, isEncrypted: boolean): string | undefined {
  const weak = [
    ...(isEncrypted ? [] : ['the way there is not encrypted, and nobody proves who the server is']),
    ...oldness(version),
  ]
  return weak.length === 0 ? undefined : weak.join('; ')
}

function oldness(version: string): readonly string[] {
  if (!/^\d+\.\d+\.\d+/.test(version)) return ['the server does not say its version']
  const is = parseSemVer(version)
  const isBelow = (other: string) => compare(is, parseSemVer(other)) < 0
  if (!isBelow(wanted)) return []
  const has = Object.entries(advisories).flatMap(([name, ranges]) =>
    ranges.some(([from, repaired]) => !isBelow(from) && isBelow(repaired)) ? [name] : [],
  )
  const flaws = has.length === 0 ? '' : `, with published flaws: ${has.join(', ')}`
  return [`nats-server ${Object.values(is).join('.')} is older than ${wanted}${flaws}`]
}
