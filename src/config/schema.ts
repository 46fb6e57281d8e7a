import { z } from 'zod'
import { exampleRouters } from './example-routers.ts'
import { routerSchema } from './router-schema.ts'
import { sinksSchema } from './sink-schema.ts'
import { stateChangeSchema } from './state-change-schema.ts'
import { vaultSchema } from './vault-schema.ts'
import { absolutePath, groupName, hostAddress, identifier, wholeNumber } from './form.ts'

export const pathsSchema = section(
  {
    state: absolutePath(200)
      .prefault('/var/lib/keepward')
      .meta({ description: 'Journal and identity; must survive a reboot.' }),
    run: absolutePath(64)
      .prefault('/run/keepward')
      .meta({ description: 'Sockets, FIFOs and rendered files; need not survive a reboot.' }),
    host: absolutePath(64)
      .prefault('/run/keepward-host')
      .meta({ description: 'What keepward-host keeps: its socket, FIFO and rendered files, for root alone.' }),
    anchors: absolutePath(200)
      .optional()
      .meta({
        description:
          'Root’s signatures of how far the journal has come, and their key; must survive a reboot. Without it, the path of the state directory with -anchors after it.',
        examples: ['/var/lib/keepward-anchors'],
      }),
  },
  'must be a map with the keys state, run, host and anchors',
).prefault({})

/**
 * The one source of validation, types, JSON Schema and the example. Each key carries its description and, where it has
 * no default, an example; a key that may be left out has the safe default.
 */
const sections = {
  version: z.literal(1, 'must be 1').meta({
    description: 'Version of this file format.',
    examples: [1],
  }),
  agent: section(
    {
      id: identifier.optional().meta({
        description: 'Identity of this host in every record and report. Without it, the host name.',
        examples: ['host-a'],
      }),
      user: z
        .union([groupName, wholeNumber(0, 4_294_967_294)], 'must be the name or number of a user')
        .prefault('keepward')
        .meta({ description: 'The user, by name or number, that the agent runs as: whom keepward-host answers.' }),
    },
    'must be a map with the keys id and user',
  ).prefault({}),
  paths: pathsSchema,
  control: section(
    {
      group: groupName.prefault('keepward').meta({
        description: 'Members of this group may read the control API; root and the own user may do everything.',
      }),
      metricsPort: wholeNumber(1024, 65535)
        .optional()
        .meta({
          description:
            'Serve /metrics and /healthz on this port of 127.0.0.1 too, to every local user. Off unless set.',
          examples: [9841],
        }),
    },
    'must be a map with the keys group and metricsPort',
  ).prefault({}),
  journal: section(
    {
      retainDays: wholeNumber(1, 3650).prefault(30).meta({ description: 'Records older than this many days may go.' }),
      maxSizeMb: wholeNumber(16, 1_048_576).prefault(256).meta({
        description: 'Above this size in megabytes the oldest records go, whatever their age.',
      }),
    },
    'must be a map with the keys retainDays and maxSizeMb',
  ).prefault({}),
  audit: section(
    {
      syslogSocket: absolutePath(100)
        .optional()
        .meta({
          description: 'Copy each anchor of the journal to this socket of a syslog daemon or journald (RFC 5424).',
          examples: ['/dev/log'],
        }),
      syslogServer: hostAddress.optional().meta({
        description: 'Copy each anchor to this syslog server by UDP instead (RFC 5424, RFC 5426).',
        examples: ['192.0.2.10'],
      }),
      syslogPort: wholeNumber(1, 65_535).prefault(514).meta({ description: 'UDP port of audit.syslogServer.' }),
    },
    'must be a map with the keys syslogSocket, syslogServer and syslogPort',
  )
    .prefault({})
    .meta({
      description:
        'Where root’s signatures of the journal are copied to as well. Without either key, nowhere: then they lie on this host alone.',
    }),
  config: section(
    {
      requireSignature: z.boolean('must be true or false').prefault(false).meta({
        description:
          'Refuse to go without config-signing.pub beside this file, the public keys of those who sign it. Where that file is, a signature is asked for whatever stands here.',
      }),
      applyChanges: z.boolean('must be true or false').prefault(false).meta({
        description:
          'Apply this file by itself once a change of it is a second old. Otherwise a change shows as config-changed-on-disk until somebody runs `keepward apply`.',
      }),
    },
    'must be a map with the keys requireSignature and applyChanges',
  )
    .prefault({})
    .meta({ description: 'How this file itself is treated.' }),
  reconcile: section(
    {
      intervalMs: wholeNumber(500, 60_000).prefault(3000).meta({
        description: 'Milliseconds between two passes that ask the kernel again, whatever was heard meanwhile.',
      }),
    },
    'must be a map with the key intervalMs',
  ).prefault({}),
  stateChange: stateChangeSchema.meta({
    description:
      'The socket on which notifiers, such as Neutron’s, tell of state changes: <paths.state>/keepalived-state-change.',
  }),
  sinks: sinksSchema.meta({
    description:
      'Where changes of role are reported to. None unless given; each goes on from where it was, and holds up no other.',
    examples: [[{ name: 'fleet', nats: { servers: ['tls://nats.example.net:4222'] } }]],
  }),
  vault: vaultSchema.meta({
    description: 'A HashiCorp Vault or OpenBao that secrets come from, over HTTPS. Not used unless a secret names it.',
    examples: [
      {
        address: 'https://vault.example.net:8200',
        caFile: '/etc/keepward/vault-ca.pem',
        host: { appRole: { roleId: 'keepward-host', secretId: { file: '/etc/keepward/secrets/vault' } } },
      },
    ],
  }),
  logging: section(
    {
      level: z
        .enum(['error', 'warn', 'info', 'debug', 'trace'], 'must be error, warn, info, debug or trace')
        .prefault('info')
        .meta({ description: 'Least severity that is logged: error, warn, info, debug or trace.' }),
      routerIds: z.enum(['plain', 'pseudonym'], 'must be plain or pseudonym').prefault('plain').meta({
        description:
          'How logs and exported audit name a router: by its id, or by a pseudonym that only <paths.state>/pseudonym.key resolves (`keepward audit resolve`).',
      }),
    },
    'must be a map with the keys level and routerIds',
  ).prefault({}),
  routers: z.array(routerSchema, 'must be a list of routers').meta({
    description:
      'The HA routers of this host. Required, so that a file cut short never reads as "no routers"; write [] for none.',
    examples: [exampleRouters],
  }),
}

export const configSchema = z.strictObject(sections, 'must be a map with the keys version and routers').meta({
  title: 'Keepward agent configuration',
  description: 'Configuration of the Keepward agent on one host. Keys that are left out take the value shown.',
})

/** The file as written, after defaults of single keys; {@link AgentConfig} adds what follows from other keys. */
export type ConfigEntry = z.output<typeof configSchema>

function section<S extends z.core.$ZodLooseShape>(shape: S, wanted: string) {
  return z.strictObject(shape, wanted)
}
