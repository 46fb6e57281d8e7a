import { countText } from '../base/count.ts'
import type { Journal } from '../journal/journal.ts'
import type { ConditionCode } from '../router/condition.ts'

/** What can be wrong with the agent itself; undefined or empty: nothing. */
export interface Troubles {
  readonly config: readonly (readonly [ConditionCode, string])[]
  readonly stateChange?: string | undefined
  readonly host?: string | undefined
  readonly anchors?: string | undefined
  readonly anchorCopies?: string | undefined
  /** Of the agent's own login, and of the keys that it reads there. */
  readonly vault?: string | undefined
  readonly vaultKeys?: string | undefined
  /** Of the login of the root half, which reads secrets of routers. */
  readonly hostVault?: string | undefined
  readonly clock?: string | undefined
  readonly sinks?: readonly (readonly [ConditionCode, string])[] | undefined
}

/** What is so of the agent now, by condition code; the counts in a text are those of this moment. */
export function ownConditions(journal: Journal['status'], troubles: Troubles): ReadonlyMap<ConditionCode, string> {
  const texts = new Map<ConditionCode, string>()
  if (journal.kind === 'unavailable') texts.set('journal-unavailable', `${journal.reason}; ${waitingText(journal)}`)
  for (const [code, text] of troubles.config) texts.set(code, text)
  if (troubles.stateChange !== undefined) texts.set('state-change-unavailable', troubles.stateChange)
  if (troubles.host !== undefined) texts.set('host-unreachable', troubles.host)
  if (troubles.anchors !== undefined) texts.set('journal-unanchored', troubles.anchors)
  if (troubles.anchorCopies !== undefined) texts.set('anchors-not-copied', troubles.anchorCopies)
  const vault = [troubles.hostVault, troubles.vaultKeys ?? troubles.vault].filter((text) => text !== undefined)
  if (vault.length > 0) texts.set('vault-unavailable', vault.join('; '))
  if (troubles.clock !== undefined) texts.set('clock-stepped', troubles.clock)
  for (const [code, text] of troubles.sinks ?? []) texts.set(code, text)
  return texts
}

function waitingText({ pending, lost }: Journal['status']): string {
  const waiting = `${countText(pending, 'record')} ${pending === 1 ? 'waits' : 'wait'} in memory`
  return lost === 0 ? waiting : `${waiting}, ${countText(lost, 'older one')} given up`
}
