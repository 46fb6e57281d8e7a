import {
  agentApi,
  agentBucket,
  eventsOf,
  eventStream,
  heartbeatSubject,
  inboxOf,
  stateBucket,
  statesOf,
  streamOfBucket,
  streams,
} from './layout.ts'

/** Subjects that a user may publish to, and listen to; it may do nothing else. */
export interface Permissions {
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
}

const names = streams.map(({ kind }) => kind.name)

/**
 * What one agent needs: to tell what it saw, to read again what it told, and to look at the streams. It can make no consumer, which could read
 * what others told.
 */
export function agentPermissions(agent: string): Permissions {
  return {
    publish: [
      `${eventsOf(agent)}.*`,
      `${statesOf(agent)}.*`,
      heartbeatSubject(agent),
      ...names.map((name) => `${agentApi}.STREAM.INFO.${name}`),
      `$JS.API.DIRECT.GET.${eventStream}.${eventsOf(agent)}.*`,
      `$JS.API.DIRECT.GET.${streamOfBucket(stateBucket)}.${statesOf(agent)}.*`,
    ],
    subscribe: [`${inboxOf(agent)}.>`],
  }
}

/** Where the answers to `keepward nats setup` and `keepward nats forget` go. */
export const operatorInbox = '_INBOX.operator'

/** What `keepward nats setup` needs, and `keepward nats forget`. */
export const operatorPermissions: Permissions = {
  publish: [
    ...['INFO', 'CREATE', 'UPDATE'].flatMap((verb) => names.map((name) => `$JS.API.STREAM.${verb}.${name}`)),
    `$JS.API.STREAM.PURGE.${streamOfBucket(stateBucket)}`,
    `$JS.API.DIRECT.GET.${streamOfBucket(agentBucket)}.${heartbeatSubject('*')}`,
  ],
  subscribe: [`${operatorInbox}.>`],
}

/** What a reader of events, states and heartbeats needs, who makes consumers under any name and changes nothing that is kept. */
export function consumerPermissions(inbox: string): Permissions {
  const of = (name: string) => [
    `$JS.API.STREAM.INFO.${name}`,
    `$JS.API.CONSUMER.CREATE.${name}`,
    `$JS.API.CONSUMER.CREATE.${name}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${name}.*`,
    `$JS.API.CONSUMER.INFO.${name}.*`,
    `$JS.API.CONSUMER.DELETE.${name}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${name}.*`,
    `$JS.API.DIRECT.GET.${name}.>`,
    `$JS.API.STREAM.MSG.GET.${name}`,
    `$JS.ACK.${name}.>`,
    `$JS.FC.${name}.>`,
  ]
  return {
    publish: ['$JS.API.INFO', ...names.flatMap(of)],
    subscribe: [`${inbox}.>`],
  }
}

/** The account of the server that has the streams. */
export const mainAccount = 'KEEPWARD'
/** Of one agent alone: no id holds what a name of ours begins with. */
export const accountOf = (agent: string): string => `KEEPWARD_AGENT_${agent}`

/**
 * What the account of the streams lets those of agents reach. Each agent has an account of its own, since a server sends answers wherever the
 * asker says, with no look at his rights: in one account with the streams an agent would have its own words stored as another's, or carried out
 * as an order of the operator's. From an account of its own an answer goes nowhere but to where the agent itself could write.
 */
export const exportedServices: readonly string[] = agentPermissions('*').publish.map(inMain)

/** How the account of the streams calls what an agent asks for. */
function inMain(subject: string): string {
  return subject.replace(agentApi, '$JS.API')
}

/** The account of one agent as it stands in `accounts` of nats-server's config. `nkey`: its public key. */
export function accountText(agent: string, nkey: string): string {
  const { publish, subscribe } = agentPermissions(agent)
  const list = (subjects: readonly string[]) =>
    subjects.map((subject) => `            ${JSON.stringify(subject)}`).join('\n')
  const imports = publish.map((subject) => {
    const to = subject === inMain(subject) ? '' : `, to: ${JSON.stringify(subject)}`
    return `    { service: { account: ${mainAccount}, subject: ${JSON.stringify(inMain(subject))} }${to} }`
  })
  return [
    `${JSON.stringify(accountOf(agent))}: {`,
    '  users: [',
    '    {',
    `      nkey: ${nkey}`,
    '      permissions: {',
    '        publish: {',
    '          allow: [',
    list(publish),
    '          ]',
    '        }',
    '        subscribe: {',
    '          allow: [',
    list(subscribe),
    '          ]',
    '        }',
    '      }',
    '    }',
    '  ]',
    '  imports: [',
    ...imports,
    '  ]',
    '}',
  ].join('\n')
}
