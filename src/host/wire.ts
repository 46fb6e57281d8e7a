import { z } from 'zod'
import { errorMeanings, KeepwardError, sentenceOf, type ErrorCode } from '../base/error.ts'
import type { AnchorPoint } from '../anchor/anchor.ts'
import { tableNames } from '../router/operation.ts'
import { reactionNames } from '../router/reaction.ts'
import { causeKinds, roles } from '../router/role.ts'
import { hookRoles, parseRouterId, type RouterId } from '../router/spec.ts'
import type { HostOperation, RootEvent } from './operation.ts'
import type { HostRefusal } from './refusal.ts'

/**
 * What the two halves say to each other: one JSON text a line. The agent asks; nothing that it says is text, a path, arguments or a
 * pid, so a strict form is all there is to check.
 */
export type Ask =
  | HostOperation
  /** Read the config file, whose text must have this SHA-256, and take over its routers; `again`: as they were. */
  | { readonly verb: 'configure'; readonly hash: string; readonly again?: boolean | undefined }
  | { readonly verb: 'configure-nothing' }
  | { readonly verb: 'stage'; readonly hash: string }
  /** What the process behind a connection runs: the next one that was handed over. */
  | { readonly verb: 'peer-executable' }
  /** Name routers by this key, where the config wants pseudonyms in logs: 64 digits. */
  | { readonly verb: 'use-pseudonym-key'; readonly key: string }
  /** Sign that this was the end of the journal's chain: numbers and hashes, as digits. */
  | ({ readonly verb: 'anchor' } & AnchorPoint)

/** `id` rises from one ask to the next of a connection. */
export type Request = Ask & { readonly id: number }

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint?: string }
    }
  | { readonly event: RootEvent }
  /** Of this connection or an earlier one; told once the agent has said which routers are wanted. */
  | { readonly refused: HostRefusal }

/** Requests are short. */
export const maxRequestBytes = 1024
/** An answer may hold every address of a namespace. */
export const maxReplyBytes = 8 * 1024 * 1024
/** Requests of a connection that wait for their answers. */
export const maxUnderWay = 1024

const id = z.int().min(1)
const router = z.string().transform((text, context): RouterId => {
  const parsed = parseRouterId(text)
  if (parsed !== undefined) return parsed
  context.addIssue('must be a router id')
  return z.NEVER
})
const name = z.string().regex(/^[A-Za-z0-9_.@:-]{1,15}$/)
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const journal = z.string().regex(/^[0-9a-f]{32}$/)
const counted = z.int().min(1).max(999_999_999_999_999)
const ofRouter = <V extends string>(verb: V) => z.strictObject({ id, verb: z.literal(verb), router })
const ofInterface = <V extends string>(verb: V) =>
  z.strictObject({ id, verb: z.literal(verb), router, interface: name })

const requestSchema = z.discriminatedUnion('verb', [
  z.strictObject({ id, verb: z.literal('configure'), hash, again: z.boolean().optional() }),
  z.strictObject({ id, verb: z.literal('configure-nothing') }),
  z.strictObject({ id, verb: z.literal('stage'), hash }),
  z.strictObject({ id, verb: z.literal('peer-executable') }),
  z.strictObject({ id, verb: z.literal('use-pseudonym-key'), key: hash }),
  z.strictObject({ id, verb: z.literal('anchor'), journal, start: counted, seq: counted, hash }),
  z.strictObject({ id, verb: z.literal('list-owned') }),
  z.strictObject({ id, verb: z.literal('look'), router, depth: z.enum(['all', 'addresses']) }),
  z.strictObject({
    id,
    verb: z.literal('react'),
    router,
    reaction: z.enum(reactionNames),
    stance: z.enum(['primary', 'backup']),
  }),
  z.strictObject({
    id,
    verb: z.literal('run-hook'),
    router,
    hook: z.int().min(0).max(7),
    digest: hash,
    role: z.enum(hookRoles),
    previous: z.enum(roles),
    sequence: counted,
    atMs: counted,
    cause: z.enum(causeKinds),
  }),
  ofRouter('inspect'),
  ofRouter('glance'),
  ofRouter('preview'),
  ofRouter('ask-keepalived'),
  ofRouter('ensure-namespace'),
  ofInterface('ensure-interface'),
  ofInterface('remove-interface'),
  z.strictObject({ id, verb: z.literal('ensure-table'), router, table: z.enum(tableNames) }),
  ofRouter('write-config'),
  ofRouter('start-keepalived'),
  ofRouter('reload-keepalived'),
  ofRouter('remove-router'),
])
const verbs = requestSchema.options.map(({ shape }) => shape.verb.value)

/** What of a line that is no request can be told of: words of a form, and nothing of what else stands there. */
export function readAttempt(line: string): Pick<HostRefusal, 'verb' | 'router'> {
  const value = parseJson(line)
  const said: { verb?: unknown; router?: unknown } = typeof value === 'object' && value !== null ? value : {}
  return {
    verb: verbs.find((one) => one === said.verb),
    router: typeof said.router === 'string' ? parseRouterId(said.router) : undefined,
  }
}

/** Undefined for a line that is no request. */
export function readRequest(line: string): Request | undefined {
  const parsed = requestSchema.safeParse(parseJson(line))
  return parsed.success ? parsed.data : undefined
}

/** Causes do not travel: their words do. */
export const replyError = (error: unknown): Extract<Reply, { error: unknown }>['error'] =>
  error instanceof KeepwardError
    ? { code: error.code, message: sentenceOf(error), hint: error.hint }
    : { code: 'internal', message: sentenceOf(error) }

/** What the other half says; it is root's, so only its form can be wrong. Undefined for a line that is no reply. */
export function readReply(line: string): Reply | undefined {
  const value = parseJson(line)
  if (typeof value !== 'object' || value === null) return undefined
  if ('event' in value || 'refused' in value || ('id' in value && ('answer' in value || 'error' in value)))
    return value as Reply
  return undefined
}

export function errorOf({ code, message, hint }: Extract<Reply, { error: unknown }>['error']): KeepwardError {
  return new KeepwardError(code in errorMeanings ? code : 'internal', message, hint === undefined ? {} : { hint })
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
