import type { Instant } from '../base/instant.ts'
import type { ConditionCode } from './condition.ts'
import { ageText } from '../base/age.ts'
import type { Stranger } from './evidence.ts'
import type { Router } from './router.ts'
import type { RouterSpec } from './spec.ts'

/** So many strangers are named; the others are counted. */
const named = 5

/** What is so with the filter that lets only declared peers speak VRRP, for a person. */
export function judgeFilter(
  { settings }: Router,
  wanted: RouterSpec,
  now: Instant,
): readonly (readonly [ConditionCode, string | undefined])[] {
  const filter = settings.kind === 'seen' ? settings.tables.vrrp : undefined
  return [
    ['vrrp-stranger', filter?.kind === 'ready' ? strangersText(filter.strangers, wanted, now) : undefined],
    ['vrrp-unfiltered', filter?.kind === 'missing' ? filter.failure?.why : undefined],
    ['vrrp-peers-undeclared', undeclared(wanted) ? `anyone on ${wanted.haInterface} may speak VRRP to it` : undefined],
  ]
}

const undeclared = ({ advertise }: RouterSpec): boolean =>
  advertise.kind === 'multicast' && advertise.peers === undefined

function strangersText(strangers: readonly Stranger[], wanted: RouterSpec, now: Instant): string | undefined {
  if (strangers.length === 0) return undefined
  const latest = strangers.toSorted((a, b) => b.lastSeen.monoMs - a.lastSeen.monoMs)
  const shown = latest.slice(0, named).map((one) => {
    const age = ageText(Math.max(0, now.monoMs - one.lastSeen.monoMs))
    return `${one.source} on ${one.interface}${whyStrange(one, wanted)}: ${String(one.packets)} dropped, the last ${age} ago`
  })
  const more = latest.length - shown.length
  return shown.join('; ') + (more > 0 ? `; and ${String(more)} more` : '')
}

/** A declared peer is turned away for how its adverts come in. */
function whyStrange({ source, interface: device }: Stranger, { advertise, haInterface }: RouterSpec): string {
  if (advertise.peers?.includes(source) !== true) return ''
  return device === haInterface
    ? ' (a declared peer, but with too low a hop limit)'
    : ` (a declared peer, but not on ${haInterface})`
}
