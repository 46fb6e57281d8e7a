import { z } from 'zod'
import { hookRoles } from '../router/spec.ts'
import { absolutePath, commandWord, duration, userName, wholeNumber } from './form.ts'

/** A program of the operator that hears of changes of role. */
export const hookSchema = z.strictObject(
  {
    program: absolutePath(200).meta({
      description:
        'Run when a role was taken and is on the disk, with the event in its environment (KEEPWARD_*) and as JSON on stdin. It and the directories above it are root’s, and nobody else may write them; no link is followed.',
      examples: ['/usr/local/sbin/role-changed'],
    }),
    args: z
      .array(commandWord, 'must be a list of words')
      .max(32, 'must be a list of at most 32 words')
      .prefault([])
      .meta({ description: 'Its arguments, as they are: there is no shell.', examples: [['--site', 'a']] }),
    user: z
      .union([userName, wholeNumber(1, 4_294_967_294)], 'must be the name or number of a user, and not root')
      .meta({
        description: 'Whom it runs as: neither root nor the agent’s user. Best an account that does nothing else.',
        examples: ['role-changed'],
      }),
    on: z
      .array(z.enum(hookRoles, 'must be primary, backup or fault'), 'must be a list of roles')
      .min(1, 'must be a list of at least one role')
      .prefault([...hookRoles])
      .meta({ description: 'The roles of which it hears.' }),
    timeout: duration(100, 60_000).prefault('10s').meta({
      description: 'After it the program is killed, with all that it started; meanwhile the next event waits.',
    }),
    namespace: z.enum(['host', 'router'], 'must be host or router').prefault('host').meta({
      description: 'Whether it sees the network of the host or that of the router.',
    }),
  },
  'must be a map with the keys program and user',
)

export type HookEntry = z.output<typeof hookSchema>

export const flapsSchema = z
  .strictObject(
    {
      changes: wholeNumber(2, 500)
        .prefault(10)
        .meta({ description: 'More changes of role than this within the window.' }),
      window: duration(1000, 3_600_000).prefault('60s').meta({ description: 'How long a change of role counts.' }),
    },
    'must be a map with the keys changes and window',
  )
  .prefault({})
