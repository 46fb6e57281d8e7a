import { compare, parseSemVer } from '@nats-io/nats-core/internal'

/** https://advisories.nats.io; by the version that has the repair, for those that an agent's server may meet. */
const repaired = '2.14.0'
const advisories = 'CVE-2023-47090, GHSA-9983-vrx2-fg9c, NATS-2026-16, NATS-2026-18'

/** What is weak about a server and the way to it; undefined: nothing that is known. */
export function weaknessOf(version: string, isEncrypted: boolean): string | undefined {
  const weak = [
    ...(isEncrypted ? [] : ['the way there is not encrypted, and nobody proves who the server is']),
    ...(isOld(version)
      ? [`nats-server ${version} is older than ${repaired}; published advisories: ${advisories}`]
      : []),
  ]
  return weak.length === 0 ? undefined : weak.join('; ')
}

function isOld(version: string): boolean {
  try {
    return compare(parseSemVer(version), parseSemVer(repaired)) < 0
  } catch {
    return true
  }
}
