import { hash as digest } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'
import type { Instant } from '../base/instant.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Which life of which file a record was written in: `seq` alone says nothing once a journal has been moved aside. */
export interface Epoch {
  /** Random id of this journal file, 32 hexadecimal digits. */
  readonly journal: string
  /** How often the file has been opened for writing, 1 at first. */
  readonly start: number
}

export const recordKinds = [
  'transition',
  'condition',
  'agent',
  'config',
  'operation',
  'claim',
  'refusal',
  'gap',
  'retention',
] as const
export type RecordKind = (typeof recordKinds)[number]

/** What happened, as a caller hands it in. */
export interface Entry {
  readonly kind: RecordKind
  /** Router id; undefined when it concerns the whole agent. */
  readonly router: string | undefined
  /** When it happened, not when it was written. */
  readonly at: Instant
  /** The kind's own fields; at most {@link maxBodyLength} characters of canonical JSON. */
  readonly body: JsonObject
}

/** An entry as it stands in the file. */
export interface JournalRecord extends Entry {
  /** Rises by one per entry of this file; numbers are missing only where a `gap` or `retention` record says so. */
  readonly seq: number
  readonly agent: string
  readonly epoch: Epoch
  /** Kernel boot id; `at.monoMs` is comparable within one boot only. */
  readonly boot: string
  /** Rises by one per entry of this router; undefined when `router` is. */
  readonly routerSeq: number | undefined
  /** It was not on the disk within the journal's `lateAfterMs` of `at`. */
  readonly late: boolean
  /** `hash` of the record before, {@link genesisHash} for the first one. */
  readonly previous: string
  /** SHA-256 of the record's text, lower-case hexadecimal. */
  readonly hash: string
}

/** The router that a record is about: its own, or the one that somebody spoke of although it did not run here. */
export function routerOf({ router, kind, body }: Entry): string | undefined {
  if (router !== undefined || (kind !== 'claim' && kind !== 'refusal')) return router
  return typeof body['router'] === 'string' ? body['router'] : undefined
}

/** An entry on its way to the file. */
export interface Line {
  readonly seq: number
  readonly kind: RecordKind
  readonly router: string | undefined
  readonly routerSeq: number | undefined
  readonly wallMs: number
  readonly monoMs: number
  /** Canonical JSON. */
  readonly body: string
  /** Not durable at this CLOCK_MONOTONIC time, the record is late. */
  readonly lateAtMs: number
}

/** The fields that all records of one start share. */
export interface Origin {
  readonly agent: string
  readonly boot: string
  readonly epoch: Epoch
}

export const maxBodyLength = 16_384
export const genesisHash = '0'.repeat(64)

/**
 * The text that is stored and hashed: the record without `hash` as canonical JSON (RFC 8785: keys sorted by UTF-16 code
 * unit, no white space, numbers and strings as ECMAScript writes them). Absent fields are left out. Anyone can check
 * a journal with a JSON parser and SHA-256: `hash` = SHA-256(UTF-8(text)), and `previous` in it = `hash` of the one before.
 */
export function recordText(line: Line, origin: Origin, previous: string, late: boolean): string {
  const { agent, boot, epoch } = origin
  const router = line.router === undefined ? '' : `,"router":${JSON.stringify(line.router)}`
  const routerSeq = line.routerSeq === undefined ? '' : `,"routerSeq":${JSON.stringify(line.routerSeq)}`
  return (
    `{"agent":${JSON.stringify(agent)},"at":{"monoMs":${JSON.stringify(line.monoMs)},"wallMs":${JSON.stringify(line.wallMs)}}` +
    `,"body":${line.body},"boot":${JSON.stringify(boot)}` +
    `,"epoch":{"journal":${JSON.stringify(epoch.journal)},"start":${JSON.stringify(epoch.start)}}` +
    `,"kind":"${line.kind}","late":${String(late)},"previous":"${previous}"${router}${routerSeq},"seq":${JSON.stringify(line.seq)}}`
  )
}

export const recordHash = (text: string): string => digest('sha256', text, 'hex')

/** RFC 8785 text of a value; throws `request-invalid` for what JSON cannot say. */
export function canonicalJson(value: JsonValue | undefined, depth = 0): string {
  if (depth > 16) throw new KeepwardError('request-invalid', 'A journal body is nested deeper than 16 levels')
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value)
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => canonicalJson(item, depth + 1)).join(',')}]`
  if (typeof value === 'object') return canonicalObject(value as JsonObject, depth)
  throw new KeepwardError('request-invalid', `A journal body holds ${String(value)}, which JSON cannot express`)
}

/** Without a list of parts: it is done for each record. */
function canonicalObject(value: JsonObject, depth: number): string {
  let text = ''
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value[key], depth + 1)}`
  }
  return `{${text}}`
}

/** Read a stored text back; undefined when it is not a record. */
export function parseRecord(text: string, hash: string): JournalRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isStored(value) ? { ...value, router: value.router, routerSeq: value.routerSeq, hash } : undefined
}

function isStored(value: unknown): value is Omit<JournalRecord, 'hash'> {
  if (!isObject(value) || !isObject(value['at']) || !isObject(value['epoch']) || !isObject(value['body'])) return false
  const { at, epoch, kind, router, routerSeq } = value
  return (
    typeof value['seq'] === 'number' &&
    typeof value['agent'] === 'string' &&
    typeof value['boot'] === 'string' &&
    typeof value['late'] === 'boolean' &&
    typeof value['previous'] === 'string' &&
    recordKinds.some((known) => known === kind) &&
    (router === undefined ? routerSeq === undefined : typeof router === 'string' && typeof routerSeq === 'number') &&
    isObject(at) &&
    typeof at['wallMs'] === 'number' &&
    typeof at['monoMs'] === 'number' &&
    isObject(epoch) &&
    typeof epoch['journal'] === 'string' &&
    typeof epoch['start'] === 'number'
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
