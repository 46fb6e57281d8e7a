import {
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
      ...names.map((name) => `$JS.API.STREAM.INFO.${name}`),
      `$JS.API.DIRECT.GET.${eventStream}.${eventsOf(agent)}.*`,
      `$JS.API.DIRECT.GET.${streamOfBucket(stateBucket)}.${statesOf(agent)}.*`,
    ],
    subscribe: [`${inboxOf(agent)}.>`],
  }
}

/** Where the answers to `keepward nats setup` go. */
export const operatorInbox = '_INBOX.operator'

/** What `keepward nats setup` needs. */
export const operatorPermissions: Permissions = {
  publish: ['INFO', 'CREATE', 'UPDATE'].flatMap((verb) => names.map((name) => `$JS.API.STREAM.${verb}.${name}`)),
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

/** A user as it stands in `users` of an account of nats-server's config. `nkey`: its public key. */
export function userText(nkey: string, { publish, subscribe }: Permissions): string {
  const list = (subjects: readonly string[]) =>
    subjects.map((subject) => `        ${JSON.stringify(subject)}`).join('\n')
  return [
    '{',
    `  nkey: ${nkey}`,
    '  permissions: {',
    '    publish: {',
    '      allow: [',
    list(publish),
    '      ]',
    '    }',
    '    subscribe: {',
    '      allow: [',
    list(subscribe),
    '      ]',
    '    }',
    '  }',
    '}',
  ].join('\n')
}
