import type { Instant } from '../base/instant.ts'
import type { SettingsEvidence } from '../router/evidence.ts'

/** The settings of a router of which nothing is there, or is to be looked at. */
export function nothingLeft(asOf: Instant): Extract<SettingsEvidence, { kind: 'seen' }> {
  const none = {
    namespaceReady: false,
    wantedDigest: '',
    writtenDigest: undefined,
    change: 'none',
    misattached: [],
    filter: { kind: 'missing', failure: undefined },
    reactions: [],
    hooks: [],
  } as const
  return { kind: 'seen', ...none, asOf }
}
