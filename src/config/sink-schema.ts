import { z } from 'zod'
import {
  absolutePath,
  brokerAddress,
  duration,
  identifier,
  natsAddress,
  reachableNetwork,
  routerId,
  webAddress,
} from './form.ts'
import { hostName, virtualHost, wireWord } from './form.ts'
import { secretSource } from './secret-schema.ts'

const tls = {
  caFile: absolutePath(200)
    .optional()
    .meta({
      description:
        'CA certificates in PEM; one of them must have signed that of the other end. A file of root. Without it, those of the system.',
      examples: ['/etc/keepward/sink-ca.pem'],
    }),
  clientCertificate: z
    .strictObject(
      {
        file: absolutePath(200).meta({
          description: 'The certificate, and those between it and the CA, in PEM; a file of root.',
          examples: ['/etc/keepward/sink.crt'],
        }),
        key: secretSource.meta({
          description: 'Its key in PEM.',
          examples: [{ file: '/etc/keepward/secrets/sink.key' }],
        }),
      },
      'must be a map with the keys file and key',
    )
    .optional()
    .meta({
      description: 'As whom the agent comes, where the other end asks for a certificate.',
      examples: [{ file: '/etc/keepward/sink.crt', key: { file: '/etc/keepward/secrets/sink.key' } }],
    }),
}

const plaintext = z.boolean('must be true or false').prefault(false)

const nats = z
  .strictObject(
    {
      servers: z
        .array(natsAddress, 'must be a list of servers')
        .min(1, 'must be a list of at least one server')
        .max(16, 'must be a list of at most 16 servers')
        .meta({
          description: 'The servers of one NATS, tried in turn. `nats://` only with plaintext.',
          examples: [['tls://nats1.example.net:4222', 'tls://nats2.example.net:4222']],
        }),
      nkey: secretSource.optional().meta({
        description: 'Seed of the NKey of this agent, `SU...`.',
        examples: [{ file: '/etc/keepward/secrets/nats.nk' }],
      }),
      ...tls,
      plaintext: plaintext.meta({ description: 'Go without TLS: whoever is on the way reads and alters reports.' }),
    },
    'must be a map with the key servers',
  )
  .meta({
    description: 'NATS JetStream, where the fleet is: `keepward nats setup` makes there what is needed (docs/nats.md).',
    examples: [{ servers: ['tls://nats.example.net:4222'], nkey: { file: '/etc/keepward/secrets/nats.nk' } }],
  })

const neutron = z
  .strictObject(
    {
      brokers: z
        .array(brokerAddress, 'must be a list of brokers')
        .min(1, 'must be a list of at least one broker')
        .max(16, 'must be a list of at most 16 brokers')
        .meta({
          description: 'RabbitMQ servers of one cluster, tried in turn. `amqp://` only with plaintext.',
          examples: [['amqps://rabbit1.example.net:5671']],
        }),
      virtualHost: virtualHost.prefault('/').meta({ description: 'That of Neutron’s transport_url.' }),
      user: wireWord.meta({ description: 'User of RabbitMQ.', examples: ['keepward'] }),
      password: secretSource.meta({
        description: 'Its password.',
        examples: [{ file: '/etc/keepward/secrets/rabbit' }],
      }),
      ...tls,
      plaintext: plaintext.meta({
        description: 'Go without TLS: whoever is on the way reads the password, and reports any state.',
      }),
      host: hostName.optional().meta({
        description: 'The `host` of this host’s L3 agent in Neutron. Without it, the agent’s id.',
        examples: ['network-1'],
      }),
      method: z.enum(['call', 'cast'], 'must be call or cast').prefault('call').meta({
        description:
          'With call a report is told until Neutron’s server has answered; with cast until the broker has it, as Neutron’s own agent does: for servers that do not answer.',
      }),
      exchange: wireWord.prefault('neutron').meta({ description: 'Neutron’s control_exchange. It is never made.' }),
      topic: wireWord.prefault('q-l3-plugin').meta({ description: 'Where Neutron’s server listens.' }),
      replyQueue: z.enum(['transient', 'quorum'], 'must be transient or quorum').prefault('transient').meta({
        description: 'Kind of the queue for answers: quorum where Neutron has rabbit_transient_quorum_queue.',
      }),
      primaryDelay: duration(0, 60_000)
        .optional()
        .meta({
          description:
            'A router that became primary is told so long after, with the role it has then, so that a brief one never is. Without it, one advertisement interval of the router. That it is no longer primary is told at once.',
          examples: ['2s'],
        }),
    },
    'must be a map with the keys brokers, user and password',
  )
  .meta({
    description: 'Neutron’s server, by its own RPC over RabbitMQ: update_ha_routers_states, and nothing else.',
    examples: [
      {
        brokers: ['amqps://rabbit.example.net:5671'],
        user: 'keepward',
        password: { file: '/etc/keepward/secrets/rabbit' },
      },
    ],
  })

const filter = z
  .strictObject(
    {
      routers: z
        .array(routerId, 'must be a list of router ids')
        .min(1, 'must be a list of at least one router id')
        .optional()
        .meta({ description: 'Of which routers; all unless given.', examples: [['r1']] }),
      kinds: z
        .array(
          z.enum(['transition', 'condition', 'operation', 'claim', 'refusal'], 'must be a kind of record of a router'),
          'must be a list of kinds',
        )
        .min(1, 'must be a list of at least one kind')
        .optional()
        .meta({
          description: 'Which records of them; all unless given. With delivery latest there are transitions alone.',
          examples: [['transition', 'condition']],
        }),
      roles: z
        .array(
          z.enum(['primary', 'backup', 'fault', 'unknown'], 'must be primary, backup, fault or unknown'),
          'must be a list of roles',
        )
        .min(1, 'must be a list of at least one role')
        .optional()
        .meta({ description: 'Of transitions, those to these roles; all unless given.', examples: [['primary']] }),
    },
    'must be a map with the keys routers, kinds and roles',
  )
  .prefault({})
  .meta({ description: 'What the endpoint hears of.' })

const webhook = z
  .strictObject(
    {
      url: webAddress.meta({
        description: 'Where each report is POSTed to, as a CloudEvent (docs/webhook.md).',
        examples: ['https://hooks.example.net/keepward'],
      }),
      secret: secretSource.meta({
        description:
          'Key that signs each request (HMAC-SHA256): `whsec_` and 24 to 64 bytes in base64, up to four of them, one a line.',
        examples: [{ file: '/etc/keepward/secrets/webhook' }],
      }),
      ...tls,
      filter,
      allowNetworks: z
        .array(reachableNetwork, 'must be a list of networks')
        .max(16, 'must be a list of at most 16 networks')
        .prefault([])
        .meta({
          description:
            'The endpoint is refused where its address is not a public one, unless it is in one of these networks.',
          examples: [['10.20.0.0/24']],
        }),
    },
    'must be a map with the keys url and secret',
  )
  .meta({
    description: 'An HTTPS endpoint of anybody’s.',
    examples: [{ url: 'https://hooks.example.net/keepward', secret: { file: '/etc/keepward/secrets/webhook' } }],
  })

const kinds = ['nats', 'neutron', 'webhook'] as const

const sink = z
  .strictObject(
    {
      name: identifier.meta({
        description: 'Its name in conditions and metrics; under it the journal keeps how far it has come.',
        examples: ['fleet'],
      }),
      delivery: z.enum(['latest', 'history'], 'must be latest or history').prefault('latest').meta({
        description:
          'With latest a sink is told the newest change of role of each router, and one that fell behind gets that at once; with history every record of every router, in order.',
      }),
      repeatInterval: duration(1000, 86_400_000).prefault('300s').meta({
        description:
          'How often the newest of each router is told once more, for a receiver that lost it. Also at each connection.',
      }),
      nats: nats.optional(),
      neutron: neutron.optional(),
      webhook: webhook.optional(),
    },
    'must be a map with the key name and one of nats, neutron and webhook',
  )
  .transform((entry, context) => {
    const { nats: toNats, neutron: toNeutron, webhook: toWebhook, repeatInterval: repeatMs, ...common } = entry
    const both = { ...common, repeatMs }
    const given = kinds.filter((kind) => entry[kind] !== undefined)
    if (given.length === 1) {
      if (toNats !== undefined) return { type: 'nats', ...both, ...files(toNats), nkey: toNats.nkey } as const
      if (toNeutron !== undefined) {
        const { primaryDelay: primaryDelayMs, ...rest } = toNeutron
        return { type: 'neutron', ...both, ...files(rest), host: rest.host, primaryDelayMs } as const
      }
      if (toWebhook !== undefined) {
        const { routers, kinds: records, roles } = toWebhook.filter
        return { type: 'webhook', ...both, ...files(toWebhook), filter: { routers, kinds: records, roles } } as const
      }
    }
    const message = `names ${given.join(' and ') || 'nowhere'}, must name one of nats, neutron and webhook`
    context.addIssue({ code: 'custom', message, input: entry, params: { said: true } })
    return z.NEVER
  })

type Files = { readonly [K in keyof typeof tls]?: z.output<(typeof tls)[K]> }

/** Left out is as good as undefined. */
const files = <T extends Files>(entry: T) => ({
  ...entry,
  caFile: entry.caFile,
  clientCertificate: entry.clientCertificate,
})

export const sinksSchema = z
  .array(sink, 'must be a list of sinks')
  .max(16, 'must be a list of at most 16 sinks')
  .prefault([])

export type SinkEntry = z.output<typeof sink>
