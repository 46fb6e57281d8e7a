import type { SecretSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import type { Delivery } from './report.ts'

/** What every sink has. Durations in milliseconds. */
interface Common {
  /** Its name in conditions, metrics and the journal. */
  readonly name: string
  readonly delivery: Delivery
  /** How often the newest of each router is told once more. */
  readonly repeatMs: number
  /** CA certificates in PEM that the other end must be signed by; undefined: those of the system. */
  readonly caFile: string | undefined
  /** Who we are, for TLS of both sides. */
  readonly clientCertificate: { readonly file: string; readonly key: SecretSource } | undefined
}

export interface NatsSettings extends Common {
  readonly type: 'nats'
  /** `tls://host:port`; `nats://` only where `plaintext`. */
  readonly servers: readonly string[]
  /** Seed of a user NKey (`SU...`). */
  readonly nkey: SecretSource | undefined
  readonly plaintext: boolean
}

export interface NeutronSettings extends Common {
  readonly type: 'neutron'
  /** `amqps://host:port`; `amqp://` only where `plaintext`. Tried in turn. */
  readonly brokers: readonly string[]
  readonly virtualHost: string
  readonly user: string
  readonly password: SecretSource
  readonly plaintext: boolean
  /** The `host` of this agent in Neutron's database; undefined: the agent's id. */
  readonly host: string | undefined
  /** `call` waits for Neutron's answer to each, `cast` for the broker's alone. */
  readonly method: 'call' | 'cast'
  /** `control_exchange`. */
  readonly exchange: string
  readonly topic: string
  /** Of the queue for answers: `quorum` with rabbit_transient_quorum_queue. */
  readonly replyQueue: 'transient' | 'quorum'
  /** For how long a new primary is not told, so that a brief one never is; undefined: one advertisement interval of its router. */
  readonly primaryDelayMs: number | undefined
}

export interface WebhookSettings extends Common {
  readonly type: 'webhook'
  /** `https://...` */
  readonly url: string
  /** Key of HMAC-SHA256. */
  readonly secret: SecretSource
  readonly filter: {
    readonly routers: readonly string[] | undefined
    readonly kinds: readonly string[] | undefined
    /** Of transitions, the roles taken. */
    readonly roles: readonly string[] | undefined
  }
  /** Networks that are not public and may be sent to all the same. */
  readonly allowNetworks: readonly { readonly family: 4 | 6; readonly address: string; readonly prefixLength: number }[]
}

export type SinkSettings = NatsSettings | NeutronSettings | WebhookSettings

/** What a sink has of its agent. */
export interface SinkTools {
  /** Id of the agent. */
  readonly agent: string
  readonly version: string
  /** To be asked anew for each connection, so that a rotated secret is taken up. */
  readonly readSecret: (source: SecretSource) => Promise<Secret>
  /** A file that root alone can have written, as text. */
  readonly readFile: (path: string) => string
}
