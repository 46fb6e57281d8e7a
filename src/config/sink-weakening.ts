import type { SecretSource } from '../base/secret-source.ts'
import type { AgentConfig } from './agent-config.ts'
import type { SinkEntry } from './sink-schema.ts'
import type { WeakeningRule } from './weakening.ts'

const environment = {
  safe: 'left out',
  opens: 'the secret stands in the unit or in whatever starts the process that reads it, and in /proc for its user',
  instead: 'use a file, or a credential of the service manager',
} as const

const plaintext = {
  safe: 'false',
  instead: 'leave it out, and give the server a certificate',
} as const

export const sinkWeakenings: readonly WeakeningRule[] = [
  {
    setting: 'sinks[].nats.plaintext',
    ...plaintext,
    opens: 'whoever is on the way to NATS reads what is reported, and tells the fleet what he likes',
    found: named((sink) => sink.type === 'nats' && sink.plaintext),
  },
  inEnvironment('sinks[].nats.nkey.environment', (sink) => (sink.type === 'nats' ? sink.nkey : undefined)),
  {
    setting: 'sinks[].neutron.plaintext',
    ...plaintext,
    opens: 'whoever is on the way to RabbitMQ reads the password there, and tells Neutron any state',
    found: named((sink) => sink.type === 'neutron' && sink.plaintext),
  },
  inEnvironment('sinks[].neutron.password.environment', (sink) =>
    sink.type === 'neutron' ? sink.password : undefined,
  ),
  inEnvironment('sinks[].webhook.secret.environment', (sink) => (sink.type === 'webhook' ? sink.secret : undefined)),
  {
    setting: 'sinks[].webhook.allowNetworks',
    safe: 'left out',
    opens: 'who can write the config, or answer for the name of the endpoint, has the agent send to hosts in there',
    instead: 'name the one address of the endpoint, with its full prefix length',
    found: named((sink) => sink.type === 'webhook' && sink.allowNetworks.length > 0),
  },
  ...(['nats', 'neutron', 'webhook'] as const).map((type) =>
    inEnvironment(`sinks[].${type}.clientCertificate.key.environment`, (sink) =>
      sink.type === type ? sink.clientCertificate?.key : undefined,
    ),
  ),
]

function inEnvironment(setting: string, secretOf: (sink: SinkEntry) => SecretSource | undefined): WeakeningRule {
  return { setting, ...environment, found: named((sink) => secretOf(sink)?.kind === 'environment') }
}

/** The names of those that are weak. */
function named(weak: (sink: SinkEntry) => boolean): WeakeningRule['found'] {
  return ({ sinks }: Pick<AgentConfig, 'sinks'>) => sinks.filter(weak).map(({ name }) => name)
}
