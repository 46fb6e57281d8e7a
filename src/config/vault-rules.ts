import { stateChangeSchema } from './state-change-schema.ts'
import type { Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { valueAt } from './schema-findings.ts'

/** A process that is to read a secret from Vault must have a login there. */
export function checkVault(config: unknown, routers: readonly RouterDraft[], review: Review): void {
  const has = (login: 'host' | 'agent') => valueAt(config, ['vault', login]) !== undefined
  for (const { path, authentication } of has('host') ? [] : routers) {
    if (authentication?.kind === 'pass' && authentication.password.kind === 'vault')
      review.tell(
        [...path, 'authentication', 'pass', 'vault'],
        'is there, so vault.host must be: the login of keepward-host',
      )
  }
  const senders = stateChangeSchema.safeParse(valueAt(config, ['stateChange'])).data?.senders ?? []
  for (const [index, { key }] of has('agent') ? [] : senders.entries()) {
    if (key?.source.kind === 'vault')
      review.tell(
        ['stateChange', 'senders', index, 'key', 'vault'],
        'is there, so vault.agent must be: the login of the agent',
      )
  }
}
