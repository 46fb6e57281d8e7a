import { randomBytes, randomUUID } from 'node:crypto'
import { escapeControls } from '../../base/controls.ts'
import type { NeutronState } from './translate.ts'

/** One telling of the states of routers, with the ids that it bears however often it is sent. */
export interface StateMessage {
  /** Of the agent, in Neutron's database. */
  readonly host: string
  /** By router id. */
  readonly states: Readonly<Record<string, NeutronState>>
  /** 32 hexadecimal digits. A server drops the second message of an id without a word, so that what is new has a new one. */
  readonly uniqueId: string
  /** `req-` and a UUID: Neutron's log has it. */
  readonly requestId: string
  /** Unix time, milliseconds. */
  readonly atMs: number
  /** Undefined: nobody answers. */
  readonly call: Call | undefined
}

export interface Call {
  /** 32 hexadecimal digits; the answer has it too. */
  readonly id: string
  readonly replyQueue: string
  /** For how long the answer is waited for, and the broker keeps what no server has taken. */
  readonly timeoutMs: number
}

export interface Encoded {
  readonly content: Buffer
  readonly properties: {
    readonly contentType: string
    readonly contentEncoding: string
    readonly deliveryMode: 2
    readonly priority: 0
    readonly headers: Readonly<Record<string, never>>
    /** Milliseconds. */
    readonly expiration?: string
  }
}

export const newId = (): string => randomBytes(16).toString('hex')
export const newRequestId = (): string => `req-${randomUUID()}`

/** As oslo.messaging has it: JSON whose text stands in JSON. */
export function encode(message: StateMessage): Encoded {
  const { call } = message
  const envelope = { 'oslo.version': '2.0', 'oslo.message': JSON.stringify(requestOf(message)) }
  return {
    content: Buffer.from(JSON.stringify(envelope)),
    properties: {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      deliveryMode: 2,
      priority: 0,
      headers: {},
      ...(call === undefined ? {} : { expiration: String(call.timeoutMs) }),
    },
  }
}

function requestOf({ host, states, uniqueId, requestId, atMs, call }: StateMessage): object {
  return {
    method: 'update_ha_routers_states',
    args: { host, states },
    version: '1.5',
    _unique_id: uniqueId,
    ...(call === undefined ? {} : { _msg_id: call.id, _reply_q: call.replyQueue, _timeout: call.timeoutMs / 1000 }),
    ...contextOf(requestId, atMs),
  }
}

/** That of an agent: it acts for no user and no project. */
function contextOf(requestId: string, atMs: number): object {
  const nobody = Object.fromEntries(absent.map((key) => [`_context_${key}`, null]))
  return {
    ...nobody,
    _context_user_identity: '- - - - -',
    _context_is_admin: true,
    _context_is_admin_project: true,
    _context_read_only: false,
    _context_show_deleted: false,
    _context_request_id: requestId,
    _context_roles: [],
    // Python's str() of a datetime: microseconds, and no zone.
    _context_timestamp: new Date(atMs).toISOString().replace('T', ' ').replace('Z', '000'),
  }
}

const absent = [
  ...['user', 'user_id', 'user_name', 'tenant_id', 'tenant_name', 'project', 'project_id', 'project_name'],
  ...['domain', 'user_domain', 'project_domain', 'system_scope', 'auth_token', 'global_request_id', 'resource_uuid'],
]

/** What a server says to a call; `progress`: it is still at it. */
export type Reply =
  | { readonly callId: string; readonly kind: 'done' }
  | { readonly callId: string; readonly kind: 'progress' }
  | {
      readonly callId: string
      readonly kind: 'failed'
      /** Name of the exception without its module; empty where it has none. */
      readonly exception: string
      /** For a person: no control characters, and short. */
      readonly text: string
    }

const maxReplyBytes = 1024 * 1024
const maxExcerpt = 200

/** Undefined: it answers nothing, as it is too long or no reply. */
export function parseReply(content: Buffer): Reply | undefined {
  if (content.length > maxReplyBytes) return undefined
  const envelope = objectIn(content.toString('utf8'))
  const version = envelope?.['oslo.version']
  if (envelope === undefined || typeof version !== 'string' || !version.startsWith('2.')) return undefined
  const reply = objectIn(envelope['oslo.message'])
  const callId = reply?.['_msg_id']
  if (reply === undefined || typeof callId !== 'string') return undefined
  const { failure, ending } = reply
  if (failure === null && ending === false) return { callId, kind: 'progress' }
  if (failure === null && ending === true) return { callId, kind: 'done' }
  const exception = objectIn(failure)
  if (exception === undefined) return { callId, kind: 'failed', exception: '', text: 'an answer of an unknown form' }
  return { callId, kind: 'failed', exception: wordIn(exception['class']), text: failureText(exception) }
}

/** Its traceback and arguments are of no use here, and may hold anything. */
function failureText({ class: name, message }: Readonly<Record<string, unknown>>): string {
  return [wordIn(name) || 'an exception without a name', wordIn(message)].filter((word) => word !== '').join(': ')
}

const wordIn = (value: unknown): string => (typeof value === 'string' ? excerpt(value) : '')

/** What somebody else said, for a sentence of ours. */
export function excerpt(text: string): string {
  // Cut before it is escaped, so that a long one costs nothing; and after, as escapes are longer.
  const safe = escapeControls(text.slice(0, maxExcerpt))
  return text.length > maxExcerpt || safe.length > maxExcerpt ? `${safe.slice(0, maxExcerpt)}...` : safe
}

function objectIn(text: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
