import { createHmac } from 'node:crypto'

/**
 * A second reader of requests, written from RFC 9112 and our own rules alone, that takes nothing but the plainest form. It
 * shares no code with what it judges.
 */
export interface StrictRequest {
  readonly router: string
  readonly state: string
  /** The key that it is rightly signed with; undefined when it is no native message, `wrong` when it is not right. */
  readonly key: string | undefined
  /** Its target, protocol and size are the usual ones; others may be refused. */
  readonly usual: boolean
  /** The sender asked for the connection to end. */
  readonly last: boolean
}

export interface StrictReading {
  /** In the order of the wire; `unfit` is whole, and must not be taken. */
  readonly requests: readonly (StrictRequest | 'unfit')[]
  /** What comes behind the last whole request. */
  readonly rest: 'nothing' | 'part' | 'no request'
}

interface Part {
  readonly request: StrictRequest | 'unfit'
  readonly end: number
}

/** `text` is the bytes as latin1, `secrets` those of the keys that the sender has. */
export function readStrictly(text: string, secrets: ReadonlyMap<string, Buffer>): StrictReading {
  const requests: (StrictRequest | 'unfit')[] = []
  let at = 0
  for (;;) {
    // RFC 9112, 2.2: empty lines before a request are ignored.
    at += /^(?:\r?\n|\r)*/.exec(text.slice(at))?.[0].length ?? 0
    if (at === text.length) return { requests, rest: 'nothing' }
    const part = readOne(text.slice(at), secrets)
    if (typeof part === 'string') return { requests, rest: part }
    requests.push(part.request)
    at += part.end
    const ends = part.request === 'unfit' || part.request.last
    if (ends) return { requests, rest: at === text.length ? 'nothing' : 'no request' }
  }
}

/** What node:http takes for the other protocols that it reads, it does not say. */
const lineForm = /^(?:GET|POST) +([\x21-\x7e]+) +(?:HTTP|RTSP)\/1\.([01])$/
const fieldForm = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?)[ \t]*$/

function readOne(text: string, secrets: ReadonlyMap<string, Buffer>): Part | 'part' | 'no request' {
  const end = text.indexOf('\r\n\r\n')
  const head = end < 0 ? text : text.slice(0, end)
  const [line = '', ...fieldLines] = head.split('\r\n')
  const fields = fieldLines.map((field) => fieldForm.exec(field))
  if (end < 0) return head.length > 0 ? 'part' : 'no request'
  const [, target = '', version] = lineForm.exec(line) ?? []
  if (version === undefined || fields.includes(null) || blockBytes(fields) > 4096) return 'no request'
  const values = new Map<string, string[]>()
  for (const field of fields) {
    const name = (field?.[1] ?? '').toLowerCase()
    values.set(name, [...(values.get(name) ?? []), field?.[2] ?? ''])
  }
  const body = bodyEnd(text.slice(end + 4), values)
  if (typeof body === 'string') return body
  const request = judge(values, version, secrets)
  // A quote in an extension of a chunk (RFC 9112, 7.1.1) may begin what never ends.
  const isQuoted = text.slice(end + 4, end + 4 + body).includes('"')
  const usual =
    target.startsWith('/') &&
    line.includes('HTTP') &&
    end <= 4096 &&
    !head.includes('\t') &&
    !isQuoted &&
    !values.has('expect')
  return { request: request === 'unfit' ? request : { ...request, usual }, end: end + 4 + body }
}

/** As the server counts: without the space around values, which costs it nothing. */
const blockBytes = (fields: readonly (readonly string[] | null)[]) =>
  fields.reduce((sum, field) => sum + (field?.[1]?.length ?? 0) + (field?.[2]?.length ?? 0) + 4, 0)

type Values = ReadonlyMap<string, readonly string[]>

function bodyEnd(text: string, values: Values): number | 'part' | 'no request' {
  const lengths = values.get('content-length') ?? []
  const encodings = values.get('transfer-encoding') ?? []
  if (lengths.length + encodings.length === 0) return 0
  if (lengths.length + encodings.length > 1) return 'no request'
  const [length] = lengths
  if (length === undefined) return encodings[0] === 'chunked' ? chunksEnd(text) : 'no request'
  if (!/^[0-9]+$/.test(length) || Number(length) > 1024) return 'no request'
  return text.length >= Number(length) ? Number(length) : 'part'
}

function chunksEnd(text: string): number | 'part' | 'no request' {
  let at = 0
  let total = 0
  for (;;) {
    const line = /^([0-9A-Fa-f]{1,8})(?:;[\x21-\x7e]*)?\r\n/.exec(text.slice(at))
    if (line === null) return text.includes('\r\n', at) ? 'no request' : 'part'
    const size = Number.parseInt(line[1] ?? '', 16)
    at += line[0].length
    total += size
    if (total > 1024) return 'no request'
    if (text.length < at + size + 2) return 'part'
    if (text.slice(at + size, at + size + 2) !== '\r\n') return 'no request'
    at += size + 2
    if (size === 0) return at
  }
}

const proofNames = ['sequence', 'boot', 'time', 'key', 'interval', 'signature'].map((name) => `x-keepward-${name}`)
const roles: Readonly<Record<string, string>> = {
  primary: 'primary',
  master: 'primary',
  backup: 'backup',
  fault: 'fault',
  unknown: 'unknown',
}

function judge(
  values: Values,
  version: string,
  secrets: ReadonlyMap<string, Buffer>,
): Omit<StrictRequest, 'usual'> | 'unfit' {
  const one = (name: string) => values.get(name)?.[0]
  const router = one('x-neutron-router-id') ?? ''
  const word = one('x-neutron-state') ?? ''
  const state = Object.hasOwn(roles, word) ? roles[word] : undefined
  if ([...values.values()].some((all) => all.length > 1)) return 'unfit'
  // RFC 9110, 10.1.1: of HTTP/1.0 an expectation is ignored.
  const expects = version === '0' ? undefined : one('expect')
  if (expects !== undefined && !/(^|\W)100-continue($|\W)/i.test(expects)) return 'unfit'
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(router) || state === undefined) return 'unfit'
  const proofs = proofNames.filter((name) => values.has(name))
  const key = proofs.length === 0 ? undefined : signedWith(one, router, word, secrets)
  if (key === 'wrong') return 'unfit'
  const options = (one('connection') ?? '').toLowerCase().split(/[ \t]*,[ \t]*/)
  const last = options.includes('close') || (version === '0' && !options.includes('keep-alive'))
  return { router, state, key, last }
}

function signedWith(
  one: (name: string) => string | undefined,
  router: string,
  state: string,
  secrets: ReadonlyMap<string, Buffer>,
): string {
  const texts = proofNames.slice(0, 5).map((name) => one(name))
  const [sequence, boot, time, key, interval = ''] = texts
  const secret = secrets.get(key ?? '')
  if (secret === undefined || key === undefined || texts[4] === '') return 'wrong'
  const text = ['keepward-statechange-1', router, state, sequence, boot, time, key, interval].join('\n')
  const right = createHmac('sha256', secret).update(text).digest('hex')
  return one('x-keepward-signature') === right ? key : 'wrong'
}

/** The statuses of the answers in what a server sent; `wrong` when it is no row of whole answers. */
export function readAnswers(text: string): readonly number[] | 'wrong' {
  const statuses: number[] = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n\r\n', at)
    const lines = text.slice(at, end < 0 ? at : end).split('\r\n')
    const status = /^HTTP\/1\.1 ([1-5][0-9]{2}) [A-Za-z ]+$/.exec(lines[0] ?? '')?.[1]
    if (status === undefined || lines.slice(1).some((field) => !fieldForm.test(field))) return 'wrong'
    const length = lines.map((field) => /^Content-Length: ([0-9]+)$/i.exec(field)?.[1]).find((one) => one !== undefined)
    at = end + 4 + Number(length ?? 0)
    if (at > text.length || (length === undefined && status !== '100')) return 'wrong'
    if (status !== '100') statuses.push(Number(status))
  }
  return statuses
}
