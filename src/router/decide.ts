import { formatPrefix } from '../base/address.ts'
import type { AnswerEvidence, KernelEvidence, Says } from './evidence.ts'
import type { Cause, Role } from './role.ts'
import type { Router } from './router.ts'
import type { RouterSpec } from './spec.ts'

/**
 * The role that the evidence shows, in this order: the marker on its interface is `primary`, whatever else is true; no
 * view of the namespace, or no keepalived, is `unknown`; keepalived says fault: `fault`; else `backup`. Undefined as
 * long as keepalived or the kernel has not been looked at since the agent's start.
 */
export function decideRole(router: Router): Role | undefined {
  if (router.kernel.kind === 'unseen') return undefined
  if (router.marker.present) return 'primary'
  if (router.kernel.kind === 'absent') return 'unknown'
  if (router.process.kind === 'unseen') return undefined
  if (router.process.kind === 'absent') return 'unknown'
  const says = lastSaid(router.answer)
  if (says === undefined) return router.answer.kind === 'silent' ? 'unknown' : undefined
  return says === 'fault' ? 'fault' : 'backup'
}

/** What keepalived said last, even if it is silent now (its silence is a condition of its own). */
export function lastSaid(answer: AnswerEvidence): Says | undefined {
  if (answer.kind === 'said') return answer.says
  return answer.kind === 'silent' ? answer.before : undefined
}

/** The marker is on the HA interface. */
export function markerPresent(spec: RouterSpec | undefined, kernel: KernelEvidence): boolean {
  if (spec === undefined || kernel.kind !== 'present') return false
  const on = kernel.interfaces.get(spec.haInterface)
  return on?.addresses.some((held) => held.address === spec.marker.address) ?? false
}

/** Why the role is now `to`, from the evidence alone. `kind` names the witness that brought the news. */
export function explainChange(router: Router, to: Role, kind: Cause['kind']): Cause {
  const prefix = kind === 'recheck' ? 'recheck: ' : ''
  return { kind, text: prefix + causeText(router, to) }
}

function causeText(router: Router, to: Role): string {
  const { wanted, process, kernel } = router
  const marker = wanted === undefined ? 'the marker' : `marker ${formatPrefix(wanted.marker)}`
  switch (to) {
    case 'primary':
      return `${marker} is on ${wanted?.haInterface ?? 'the HA interface'}`
    case 'fault':
      return `keepalived says fault${downLinks(router)}`
    case 'backup':
      return `${marker} is not on ${wanted?.haInterface ?? 'the HA interface'}${says(router.answer)}${downLinks(router)}`
    case 'unknown':
      if (wanted === undefined) return 'the config wants the router no more'
      if (kernel.kind === 'absent') return kernel.reason
      return process.kind === 'absent' ? 'keepalived does not run' : 'keepalived does not answer'
  }
}

function says(answer: AnswerEvidence): string {
  return answer.kind === 'said' && answer.says !== 'primary' ? `, keepalived says ${answer.says}` : ''
}

/** Tracked interfaces that are gone, set down or without carrier: what keepalived calls a fault. */
function downLinks({ wanted, kernel }: Router): string {
  if (wanted === undefined || kernel.kind !== 'present') return ''
  const down = wanted.trackedInterfaces.flatMap((name) => {
    const link = kernel.interfaces.get(name)
    if (link === undefined) return [`interface ${name} is gone`]
    if (!link.up) return [`link ${name} is down`]
    return link.carrier ? [] : [`link ${name} has no carrier`]
  })
  return down.length === 0 ? '' : `: ${down.join(', ')}`
}
