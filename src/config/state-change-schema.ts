import { z } from 'zod'
import type { SecretSource } from '../base/secret-source.ts'
import { secretFields, sourceIn } from './secret-schema.ts'
import { duration, groupName, identifier, routerId, userName, wholeNumber } from './form.ts'

const role = z.enum(['primary', 'backup', 'fault', 'unknown'], 'must be primary, backup, fault or unknown')

const key = z
  .strictObject(
    {
      id: identifier.meta({
        description: 'Name of the key in each message; not that of a router.',
        examples: ['fleet'],
      }),
      ...secretFields,
      file: secretFields.file.meta({
        description: 'Holds 64 hexadecimal digits (openssl rand -hex 32); readable by the agent alone.',
        examples: ['/etc/keepward/fleet.key'],
      }),
    },
    'must be a map with the key id and one of file, credential, command, environment and vault',
  )
  .transform(({ id, ...entry }, context): NamedKey => {
    const source = sourceIn(entry)
    if (source.kind !== 'wrong') return { id, source }
    context.addIssue({ code: 'custom', message: source.says, input: entry, params: { said: true } })
    return z.NEVER
  })

interface NamedKey {
  readonly id: string
  readonly source: SecretSource
}

const kinds = ['user', 'uid', 'group', 'gid', 'key'] as const

const sender = z
  .strictObject(
    {
      user: userName
        .optional()
        .meta({ description: 'Who: a user by name, or by number as uid.', examples: ['neutron'] }),
      uid: wholeNumber(0, 4_294_967_294)
        .optional()
        .meta({ description: 'Who: a user by number.', examples: [64055] }),
      group: groupName
        .optional()
        .meta({ description: 'Who: members of a group by name, or by number as gid.', examples: ['neutron'] }),
      gid: wholeNumber(0, 4_294_967_294)
        .optional()
        .meta({ description: 'Who: a group by number.', examples: [64055] }),
      key: key.optional().meta({
        description: 'Who: whoever signs with this key.',
        examples: [{ id: 'fleet', file: '/etc/keepward/fleet.key' }],
      }),
      routers: z
        .array(routerId, 'must be a list of router ids')
        .min(1, 'must be a list of at least one router id')
        .optional()
        .meta({ description: 'Of which routers it may speak; all unless given.', examples: [['r1', 'r2']] }),
      states: z
        .array(role, 'must be a list of states')
        .min(1, 'must be a list of at least one state')
        .optional()
        .meta({ description: 'What it may say; all unless given.', examples: [['primary', 'backup']] }),
    },
    'must be a map with one of the keys user, uid, group, gid and key',
  )
  .superRefine((entry, context) => {
    const given = kinds.filter((kind) => entry[kind] !== undefined)
    if (given.length === 1) return
    const wanted = 'must have one of user, uid, group, gid and key'
    const message = given.length === 0 ? wanted : `${wanted}, not ${given.join(' and ')}`
    context.addIssue({ code: 'custom', message, input: entry })
  })

const perSecond = (most: number) => wholeNumber(1, most)

function limits(connections: number, rate: number, whose: string) {
  return z
    .strictObject(
      {
        connections: wholeNumber(1, 16_384)
          .prefault(connections)
          .meta({ description: `Connections of ${whose}.` }),
        perSecond: perSecond(1_000_000)
          .prefault(rate)
          .meta({ description: `Messages a second of ${whose}.` }),
      },
      'must be a map with the keys connections and perSecond',
    )
    .prefault({})
}

/** Who may tell the agent of state changes from outside, as Neutron's monitors do, and how much. */
export const stateChangeSchema = z
  .strictObject(
    {
      unknownRouters: z.enum(['compatible', 'strict'], 'must be compatible or strict').prefault('compatible').meta({
        description:
          'A message of a router that is not in this file: compatible keeps it as an unmatched claim and answers 200, as Neutron does; strict answers 404.',
      }),
      claimInterval: duration(1000, 86_400_000)
        .prefault('60s')
        .meta({ description: 'A claim that is not repeated for three times as long is shown as stale.' }),
      socketGroup: groupName.optional().meta({
        description:
          'Members of this group may open the socket (mode 0660). Needed once a sender is neither root nor the agent’s own user.',
        examples: ['neutron'],
      }),
      openToAll: z
        .literal(true, 'must be true or left out')
        .optional()
        .meta({
          description: 'In place of socketGroup: every local user may open the socket; what it may say is below.',
          examples: [true],
        }),
      senders: z
        .array(sender, 'must be a list of senders')
        .prefault([])
        .meta({
          description: 'Who may speak beside root and the agent’s own user, which may say everything.',
          examples: [[{ key: { id: 'fleet', file: '/etc/keepward/fleet.key' }, states: ['primary', 'backup'] }]],
        }),
      trusted: limits(4096, 50_000, 'root, and of the agent’s own user').meta({
        description: 'Limits of those who may say everything.',
      }),
      others: limits(64, 200, 'each other user').meta({ description: 'Limits of everybody else.' }),
      perRouter: z
        .strictObject(
          {
            perSecond: perSecond(1_000_000)
              .prefault(50)
              .meta({ description: 'Messages a second of each router, for ever.' }),
            burst: wholeNumber(1, 1_000_000).prefault(200).meta({ description: 'Messages of each router at once.' }),
          },
          'must be a map with the keys perSecond and burst',
        )
        .prefault({})
        .meta({ description: 'Limits of each router, whoever speaks of it.' }),
    },
    'must be a map of the settings of the state-change socket',
  )
  .prefault({})

export type StateChangeEntry = z.output<typeof stateChangeSchema>
export type SenderEntry = StateChangeEntry['senders'][number]
