import { stateChangeSchema } from './state-change-schema.ts'
import type { SecretSource } from '../base/secret-source.ts'
import { sinksSchema, type SinkEntry } from './sink-schema.ts'
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
  const sinks = sinksSchema.safeParse(valueAt(config, ['sinks'])).data ?? []
  for (const [index, sink] of has('agent') ? [] : sinks.entries()) {
    for (const [key, source] of secretsOf(sink))
      if (source?.kind === 'vault')
        review.tell(
          ['sinks', index, sink.type, ...key, 'vault'],
          'is there, so vault.agent must be: the login of the agent',
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

function secretsOf(sink: SinkEntry): (readonly [key: readonly string[], source: SecretSource | undefined])[] {
  const certificate = [['clientCertificate', 'key'], sink.clientCertificate?.key] as const
  if (sink.type === 'nats') return [certificate, [['nkey'], sink.nkey]]
  if (sink.type === 'neutron') return [certificate, [['password'], sink.password]]
  return [certificate, [['secret'], sink.secret]]
}
