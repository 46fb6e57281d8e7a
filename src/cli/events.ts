import { resolve } from 'node:path'
import { ageText } from '../base/age.ts'
import { countText } from '../base/count.ts'
import { KeepwardError } from '../base/error.ts'
import { verifyFile } from '../journal/verify.ts'
import type { EventView, VerdictView } from '../agent/api.ts'
import { call, stream } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { oneLine, timeText } from '../text/table.ts'

/** `keepward events`: the journal, oldest first; `--verify` walks its hash chain. */
export async function events(globals: Globals, options: Record<string, unknown>): Promise<number> {
  if (options['verify'] === true) return verify(globals, options['file'])
  const since = readSince(options['since'])
  const router = typeof options['router'] === 'string' ? options['router'] : undefined
  const limit = readLimit(options['limit'])
  const query = (fields: Record<string, string | undefined>) =>
    new URLSearchParams(
      Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined),
    ).toString()
  const show = (record: EventView) => {
    if (record.at.wallMs >= since.wallMs) print(globals, record, renderEvent)
  }
  const newest = since.after === undefined
  const page = await call<EventView[]>(
    globals,
    'GET',
    `/v1/events?${query({ after: since.after?.toString(), router, limit: String(limit), newestFirst: String(newest) })}`,
  )
  const ordered = newest ? page.reverse() : page
  ordered.forEach(show)
  if (options['follow'] !== true) return ExitStatus.ok
  const after = ordered.at(-1)?.seq ?? since.after
  for await (const { kind, data } of stream(
    globals,
    `/v1/events/stream?${query({ after: after?.toString(), router })}`,
  )) {
    if (kind === 'error') {
      throw new KeepwardError(
        'subscriber-too-slow',
        `The agent ended the stream: ${(data as { message: string }).message}`,
      )
    }
    show(data as EventView)
  }
  return ExitStatus.ok
}

async function verify(globals: Globals, file: unknown): Promise<number> {
  const verdict =
    typeof file === 'string' ? verifyFile(resolve(file)) : await call<VerdictView>(globals, 'GET', '/v1/verify')
  print(globals, verdict, renderVerdict)
  return verdict.ok ? ExitStatus.ok : ExitStatus.critical
}

const renderVerdict = (verdict: VerdictView): string =>
  verdict.ok
    ? `The chain is whole: ${countText(verdict.records, 'record')}, ${String(verdict.fromSeq)} to ${String(verdict.toSeq)}.`
    : `The chain is broken at record ${String(verdict.brokenAtSeq)}: ${verdict.reason}`

/** One record on one line. */
export function renderEvent({ seq, at, router, kind, body, late }: EventView): string {
  return `${String(seq).padStart(6)}  ${timeText(at.wallMs)}  ${(router ?? '-').padEnd(12)}  ${oneLine(describe(kind, router, body))}${late ? '  (recorded late)' : ''}`
}

function describe(kind: string, router: string | undefined, body: Record<string, unknown>): string {
  const text = (key: string) => (typeof body[key] === 'string' ? body[key] : '')
  switch (kind) {
    case 'transition': {
      const cause = body['cause']
      const why = typeof cause === 'object' && cause !== null && 'text' in cause ? String(cause.text) : ''
      const lasted = typeof body['lastedMs'] === 'number' ? ` after ${ageText(body['lastedMs'])}` : ''
      return `${text('from')} -> ${text('to')}${lasted}: ${why}`
    }
    case 'condition':
      return `${text('code')} ${text('change')}: ${text('text')}`
    case 'claim':
      return `${sender(body)} said ${text('state')}${times(body)}${text('decision') === 'unmatched' ? `, of ${text('router')}, which is not known here` : ''}`
    case 'refusal':
      return refusal(router, body)
    default:
      return `${kind} ${Object.entries(body)
        .filter(([, value]) => value !== null)
        .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
        .join(' ')}`
  }
}

function refusal(router: string | undefined, body: Record<string, unknown>): string {
  const text = (key: string) => (typeof body[key] === 'string' ? body[key] : '')
  switch (text('decision')) {
    case 'socket-made-anew':
      return `state-change socket made anew: ${text('reason')}`
    case 'host-refused': {
      const what = [text('operation'), text('router')].filter((word) => word !== '').join(' ')
      return `${sender(body)} refused by keepward-host${after(what)}: ${text('text')}${times(body)}`
    }
    default:
      return `${sender(body)}${attempt(router, body)} ${text('decision')}: ${text('reason')}${times(body)}`
  }
}

const after = (text: string): string => (text === '' ? '' : `: ${text}`)

/** Who spoke, of a claim or refusal. */
function sender(body: Record<string, unknown>): string {
  const key = typeof body['key'] === 'string' ? ` with key ${body['key']}` : ''
  const who = typeof body['uid'] === 'number' ? `uid ${String(body['uid'])}, pid ${String(body['pid'])}` : 'somebody'
  const runs = typeof body['executable'] === 'string' ? ` (${body['executable']})` : ''
  return `${who}${runs}${key}`
}

/** What it wanted to say, as far as it was understood; the router where the record is not that router's own. */
function attempt(router: string | undefined, body: Record<string, unknown>): string {
  const of = typeof body['router'] === 'string' && body['router'] !== router ? ` of ${body['router']}` : ''
  if (typeof body['state'] === 'string') return ` said ${body['state']}${of},`
  return of === '' ? '' : ` spoke${of},`
}

const times = ({ count }: Record<string, unknown>): string =>
  count === 1 ? '' : ` (${countText(Number(count), 'message')})`

interface Since {
  readonly after: number | undefined
  readonly wallMs: number
}

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A sequence (`120`), a duration ago (`10m`), or a time (`2026-11-20T10:00:00`). */
function readSince(text: unknown): Since {
  if (typeof text !== 'string') return { after: undefined, wallMs: 0 }
  if (/^[0-9]{1,15}$/.test(text)) return { after: Number(text), wallMs: 0 }
  const [, count, unit = ''] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? []
  const ago = unitsMs[unit]
  const wallMs = ago === undefined ? Date.parse(text) : Date.now() - Number(count) * ago
  if (Number.isNaN(wallMs)) {
    throw new KeepwardError(
      'request-invalid',
      `--since is ${text}, must be a sequence (120), a duration (10m) or a time (2026-11-20T10:00:00)`,
    )
  }
  return { after: undefined, wallMs }
}

function readLimit(text: unknown): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit
  throw new KeepwardError('request-invalid', `--limit is ${String(text)}, must be a whole number from 1 to 1000`)
}
