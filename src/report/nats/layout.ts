import type { StreamConfig } from '@nats-io/jetstream'

/** Of streams, subjects and keys together; setup writes it into each stream, and touches none of a higher one. */
export const layoutVersion = 1

export const eventStream = 'KEEPWARD_EVENTS'
export const stateBucket = 'keepward-state'
export const agentBucket = 'keepward-agents'
/** Under which a key-value bucket's stream goes (NATS ADR-8). */
export const streamOfBucket = (bucket: string): string => `KV_${bucket}`

/** Who has told nothing for so long is gone: its key goes. */
export const heartbeatExpiryMs = 60_000
/** For so long the server knows the ids of messages, and drops what comes again. */
export const dedupeWindowMs = 600_000

/** An id as one token of a subject: a dot would make two of it, and no id holds `=`. */
export const tokenOf = (id: string): string => id.replaceAll('.', '=2E')
export const idOf = (token: string): string => token.replaceAll('=2E', '.')

export const eventSubject = (agent: string, router: string): string => `${eventsOf(agent)}.${tokenOf(router)}`
export const eventsOf = (agent: string): string => `keepward.v1.event.${tokenOf(agent)}`
export const stateSubject = (agent: string, router: string): string => `${statesOf(agent)}.${tokenOf(router)}`
export const statesOf = (agent: string): string => `$KV.${stateBucket}.${tokenOf(agent)}`
export const heartbeatSubject = (agent: string): string => `$KV.${agentBucket}.${tokenOf(agent)}`
/** Under which the account of an agent has what it may ask of JetStream: `$JS.API` is there that of its own account, which has none. */
export const agentApi = 'keepward.v1.api'
/** Where answers to this agent go; no other may listen there. */
export const inboxOf = (agent: string): string => `_INBOX.${tokenOf(agent)}`

/** What a stream must be for an agent to work with it. */
export type Kind = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'storage'
  | 'retention'
  | 'discard'
  | 'max_msgs_per_subject'
  | 'max_msg_size'
  | 'duplicate_window'
  | 'deny_delete'
  | 'deny_purge'
  | 'allow_direct'
  | 'allow_rollup_hdrs'
>
/** What the operator may choose otherwise: set when a stream is made, and later only if asked for. */
export type Limits = Pick<StreamConfig, 'max_bytes' | 'max_age'>

export interface StreamLayout {
  readonly title: string
  readonly kind: Kind
  readonly limits: Limits
}

const nanos = (ms: number): number => ms * 1e6
const mebibyte = 1024 * 1024
/**
 * No report is longer, with its headers: the body of a record has 16 Ki characters at most (`maxBodyLength`), of up to three bytes of UTF-8 each,
 * and what stands around it 2 KiB.
 */
export const maxReportBytes = 64 * 1024
/** Of a stream: with room for what a newer Keepward may say. */
const maxMessageBytes = 128 * 1024

const common = {
  storage: 'file',
  retention: 'limits',
  max_msg_size: maxMessageBytes,
  allow_direct: true,
  // A message with `Nats-Rollup: all` empties a stream, whoever may publish to one of its subjects.
  allow_rollup_hdrs: false,
} as const

/** The three streams there are; each takes its replicas from whoever makes them. */
export const streams: readonly StreamLayout[] = [
  {
    title: 'what happened to each router of each agent',
    kind: {
      ...common,
      name: eventStream,
      subjects: ['keepward.v1.event.*.*'],
      discard: 'old',
      max_msgs_per_subject: -1,
      duplicate_window: nanos(dedupeWindowMs),
      deny_delete: true,
      deny_purge: true,
    },
    limits: { max_bytes: 1024 * mebibyte, max_age: nanos(30 * 86_400_000) },
  },
  {
    title: 'the last state of each router by each agent',
    kind: {
      ...common,
      name: streamOfBucket(stateBucket),
      subjects: [`$KV.${stateBucket}.>`],
      discard: 'new',
      max_msgs_per_subject: 1,
      duplicate_window: nanos(120_000),
      deny_delete: true,
      deny_purge: false,
    },
    limits: { max_bytes: 256 * mebibyte, max_age: 0 },
  },
  {
    title: 'which agents live',
    kind: {
      ...common,
      name: streamOfBucket(agentBucket),
      subjects: [`$KV.${agentBucket}.>`],
      discard: 'old',
      max_msgs_per_subject: 1,
      duplicate_window: nanos(heartbeatExpiryMs),
      deny_delete: true,
      deny_purge: false,
    },
    limits: { max_bytes: 64 * mebibyte, max_age: nanos(heartbeatExpiryMs) },
  },
]

/** Metadata of streams needs nats-server 2.10; a description does not. */
export const descriptionOf = ({ title }: StreamLayout): string => `Keepward layout ${String(layoutVersion)}: ${title}`

/** Undefined: it is none of ours. */
export function versionIn(description: string | undefined): number | undefined {
  const [, digits] = /^Keepward layout ([0-9]{1,6}): /.exec(description ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** How a stream differs from what is wanted, as sentences. */
export function differences(wanted: Partial<StreamConfig>, found: Partial<StreamConfig>): string[] {
  return (Object.keys(wanted) as (keyof StreamConfig)[]).flatMap((key) => {
    // What a server does not say is off.
    const [is, must] = [found[key] ?? false, wanted[key] ?? false].map((value) => JSON.stringify(value))
    return is === must ? [] : [`${key} is ${String(is)}, must be ${String(must)}`]
  })
}
