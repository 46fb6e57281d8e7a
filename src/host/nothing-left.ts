import type { Instant } from '../base/instant.ts'
import type { SettingsEvidence } from '../router/evidence.ts'

const missing = { kind: 'missing', failure: undefined } as const

/** The settings of a router of which nothing is there, or is to be looked at. */
export function nothingLeft(asOf: Instant): Extract<SettingsEvidence, { kind: 'seen' }> {
  const none = {
    namespaceReady: false,
    wantedDigest: '',
    writtenDigest: undefined,
    change: 'none',
    misattached: [],
    tables: { vrrp: missing, nat: missing, flows: missing, operator: missing },
    reactions: [],
  } as const
  return { kind: 'seen', ...none, asOf }
}
