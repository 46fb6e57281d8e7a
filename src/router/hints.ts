import type { Instant } from '../base/instant.ts'
import { settleMs } from './duration.ts'
import type { RouterEffect } from './effect.ts'
import type { RouterEvent } from './event.ts'
import { linkWorks } from './evidence.ts'
import { mustCheckNotifier, notifierAgrees } from './notifier.ts'
import type { Router } from './router.ts'

/** An answer of keepalived older than this is asked again by the slow pass. */
export const askAgainAfterMs = 10_000
/** Files and sysctls older than this are compared again by the slow pass. */
export const settingsAgainAfterMs = 20_000
/** A message from outside asks keepalived no sooner than so long after its last answer. */
const askPauseMs = 100

/** Where to look next, given what the event changed. */
export function hints(before: Router, after: Router, event: RouterEvent, now: Instant): RouterEffect[] {
  const inspect = { type: 'inspect', depth: 'all' } as const
  switch (event.type) {
    case 'wanted':
      return [inspect]
    case 'recheck':
      return [
        // What failed is tried again at once: a failure is over when a look at all has succeeded.
        after.lookFailure !== undefined || settingsAreOld(after, now)
          ? inspect
          : { type: 'inspect', depth: 'processes' },
        ...askIf(answerIsOld(after, now) || (runs(after) && mustCheckNotifier(after, now))),
      ]
    case 'notified':
      return event.says === 'stopped' ? [inspect] : askIf(runs(after))
    case 'kernel':
      return [
        // Work that is under way ends with a look of its own.
        ...(before.kernel.kind === after.kernel.kind || after.work.kind === 'performing' ? [] : [inspect]),
        ...(runs(after) && haLinkCame(before, after) ? [{ type: 'inspect', depth: 'processes' } as const] : []),
        ...askIf(runs(after) && (before.marker.present !== after.marker.present || tracksOther(before, after))),
      ]
    case 'process':
      return askIf(childOf(after) !== undefined && childOf(before) !== childOf(after))
    case 'claimed':
      // The address is the kernel's to show; whether keepalived lives and says fault only matters to another word.
      return [
        { type: 'recheck-kernel' },
        ...(notifierAgrees(after) === true ? [] : lookAtKeepalived(after, mayAskAgain(after, now))),
      ]
    case 'woken':
      return [
        ...askIf(mayDisagree(after, now)),
        ...(childless(after) ? [inspect] : []),
        ...(mustCheckNotifier(after, now)
          ? [{ type: 'recheck-kernel' } as const, ...lookAtKeepalived(after, true)]
          : []),
      ]
    case 'answer':
    case 'defect':
    case 'settings':
    case 'look-failed':
    case 'performed':
    case 'reacted':
    case 'service-ended':
    case 'recorded':
    case 'hook-ended':
      return []
  }
}

/** A tracked link went down or came up, which keepalived calls fault or its end; its line about that may be lost. */
function tracksOther(before: Router, after: Router): boolean {
  return (
    after.wanted?.trackedInterfaces.some((name) => linkWorks(before.kernel, name) !== linkWorks(after.kernel, name)) ??
    false
  )
}

/** The HA link works, and did not: it may be another of that name, on which keepalived is deaf. */
function haLinkCame(before: Router, after: Router): boolean {
  const name = after.wanted?.haInterface
  return name !== undefined && linkWorks(after.kernel, name) === true && linkWorks(before.kernel, name) !== true
}

/** Look at keepalived's processes and, if it may be asked, ask it. */
function lookAtKeepalived(router: Router, mayAsk: boolean): RouterEffect[] {
  return [{ type: 'inspect', depth: 'processes' }, ...askIf(mayAsk && runs(router))]
}

const mayAskAgain = (router: Router, now: Instant): boolean => now.monoMs - answeredAt(router) >= askPauseMs

const settingsAreOld = ({ settings }: Router, now: Instant): boolean =>
  settings.kind === 'unseen' || now.monoMs - settings.asOf.monoMs >= settingsAgainAfterMs

const askIf = (when: boolean): RouterEffect[] => (when ? [{ type: 'ask-keepalived' }] : [])
export const childless = ({ process }: Router): boolean => process.kind === 'running' && process.childPid === undefined
const runs = (router: Router): boolean => childOf(router) !== undefined
const childOf = ({ process }: Router): number | undefined => (process.kind === 'running' ? process.childPid : undefined)

function answerIsOld(router: Router, now: Instant): boolean {
  if (!runs(router)) return false
  return router.answer.kind !== 'said' || now.monoMs - router.answer.asOf.monoMs >= askAgainAfterMs || disagrees(router)
}

/** keepalived's last word differs from the kernel, and it was said before things had settled. */
function mayDisagree(router: Router, now: Instant): boolean {
  const settled = router.marker.since.monoMs + settleMs
  return runs(router) && disagrees(router) && now.monoMs >= settled && answeredAt(router) < settled
}

const disagrees = ({ answer, marker }: Router): boolean =>
  answer.kind === 'said' && (answer.says === 'primary') !== marker.present
const answeredAt = ({ answer }: Router): number => (answer.kind === 'none' ? 0 : answer.asOf.monoMs)
