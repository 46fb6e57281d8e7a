import type { Instant } from '../base/instant.ts'
import type { SettingsEvidence } from '../router/evidence.ts'
import type { RouterSpec } from '../router/spec.ts'
import { compareConfig, type RenderPlace } from './keepalived-config.ts'
import { namespaceReady } from './namespace.ts'
import type { Inspection } from './operation.ts'

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

/** A router that is only staged, or nobody's: nothing is made for the look. */
export async function lookAhead(spec: RouterSpec | undefined, place: RenderPlace, asOf: Instant): Promise<Inspection> {
  const process = { kind: 'absent', asOf } as const
  if (spec === undefined) return { process, settings: nothingLeft(asOf) }
  const compared = await compareConfig(spec, undefined, place)
  return { process, settings: { ...nothingLeft(asOf), namespaceReady: namespaceReady(spec), ...compared } }
}
