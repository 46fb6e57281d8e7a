import { Secret } from '../../../src/base/secret.ts'
import { proofHeaders, sign } from '../../../src/statechange/signature.ts'
import type { Random } from './random.ts'

/** What one connection sends: texts of latin1, each in a write of its own. */
export type Mutant = readonly string[]

export interface Keys {
  /** The sender has it. */
  readonly own: { readonly id: string; readonly secret: Secret }
  readonly boot: string
  /** CLOCK_BOOTTIME, for sequences that are new. */
  now(): bigint
}

/** A request before it is bytes. */
interface Draft {
  line: string
  fields: [name: string, separator: string, value: string][]
  lineEnd: string
  body: string
}

/** Right requests, one to three on a connection, then spoilt in their structure, in their bytes, in both or not at all. */
export function makeMutant(random: Random, keys: Keys): Mutant {
  const drafts = Array.from({ length: random.of([1, 1, 1, 2, 3]) }, (_, at) => right(random, keys, at))
  const how = random.of(['right', 'structure', 'structure', 'bytes', 'both'])
  if (how === 'structure' || how === 'both') {
    const draft = random.of(drafts as [Draft, ...Draft[]])
    for (let n = 0; n <= random.below(3); n++) random.of(structural)(draft, random)
  }
  let text = drafts.map(written).join('')
  if (how === 'bytes' || how === 'both') for (let n = 0; n <= random.below(4); n++) text = spoilt(text, random)
  return inPieces(text, random)
}

const routers = ['r1', 'r1', 'r1', 'r2', 'r3', 'r9', 'R1', 'r1.'] as const
const states = ['backup', 'backup', 'backup', 'primary', 'master', 'fault', 'unknown'] as const

function right(random: Random, keys: Keys, at: number): Draft {
  const signed = random.once(4)
  const router = signed && random.once(2) ? 'r2' : random.of(routers)
  const state = router === 'r2' && !random.once(4) ? 'primary' : random.of(states)
  const draft: Draft = {
    line: random.of(['GET / HTTP/1.1', 'POST / HTTP/1.1', 'GET /a/b?c=d#e HTTP/1.1', 'GET / HTTP/1.0']),
    fields: [
      ['Host', ': ', '127.0.0.1'],
      [random.of(['X-Neutron-Router-Id', 'x-neutron-router-id', 'X-NEUTRON-ROUTER-ID']), ': ', router],
      ['X-Neutron-State', random.of([': ', ':', ':  ']), state],
    ],
    lineEnd: '\r\n',
    body: '',
  }
  if (signed) draft.fields.push(...proofOf(random, keys, router, state))
  if (at > 0 || random.once(2)) draft.fields.push(['Connection', ': ', random.of(['close', 'keep-alive', 'Close'])])
  if (random.once(4)) frame(draft, random)
  return draft
}

function proofOf(random: Random, keys: Keys, router: string, state: string): Draft['fields'] {
  const key = random.once(6) ? router : keys.own.id
  const secret = random.once(8) ? new Secret(Buffer.alloc(32, 3)) : keys.own.secret
  const intervalS = random.once(3) ? 30 : undefined
  const sequence = keys.now()
  const sentMs = Date.now()
  const proof = { router, state, sequence, boot: keys.boot, sentMs, key, intervalS }
  return [
    [proofHeaders.sequence, ': ', String(sequence)],
    [proofHeaders.boot, ': ', keys.boot],
    [proofHeaders.time, ': ', String(sentMs)],
    [proofHeaders.key, ': ', key],
    ...(intervalS === undefined ? [] : [[proofHeaders.interval, ': ', String(intervalS)] as Draft['fields'][number]]),
    [proofHeaders.signature, ': ', sign(secret, proof)],
  ]
}

function frame(draft: Draft, random: Random): void {
  const body = 'b'.repeat(random.of([0, 1, 7, 100, 1024]))
  if (random.once(2)) {
    draft.fields.push(['Content-Length', ': ', String(body.length)])
    draft.body = body
  } else {
    draft.fields.push(['Transfer-Encoding', ': ', 'chunked'])
    draft.body = `${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
  }
}

const odd = [
  '',
  ' ',
  '\t',
  '\0',
  '\x1b[31m',
  '\x7f',
  '\x9b',
  '\xe9',
  '\r',
  '\n',
  '\r\n',
  '\r\n ',
  '\n\n',
  ',',
  'r1, r1',
  'backup, backup',
  '../../etc',
  '%00',
  '${x}',
  '-1',
  '+1',
  '0x1',
  '1e3',
  '1025',
  '99999999999999999999',
  'a'.repeat(64),
  'a'.repeat(5000),
  ' '.repeat(5000),
  'chunked',
  'gzip, chunked',
  'close',
  'keep-alive, close',
  'upgrade',
  'x-neutron-state',
  '100-continue',
  'constructor',
  '__proto__',
] as const
const names = [
  'X-Neutron-Router-Id',
  'x-neutron-state',
  'Content-Length',
  'Transfer-Encoding',
  'Connection',
  'Upgrade',
  'Expect',
  'Trailer',
  'Host',
  'Cookie',
  'X-Neutron_State',
  '__proto__',
  ...Object.values(proofHeaders),
] as const
const values = ['r1', 'r2', 'backup', 'primary', '0', '1', ...odd] as const
const lines = [
  'PUT / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'CONNECT a:1 HTTP/1.1',
  'get / HTTP/1.1',
  'GET  / HTTP/1.1',
  'GET / HTTP/0.9',
  'GET / HTTP/1.2',
  'GET / HTTP/2.0',
  'GET / HTTP/01.1',
  'GET / RTSP/1.0',
  'GET /',
  'GET',
  'GET /\0 HTTP/1.1',
  'GET /\xe9 HTTP/1.1',
  'GET /\t HTTP/1.1',
  'GET / HTTP/1.1 ',
  'PRI * HTTP/2.0',
  'GET http://a/ HTTP/1.1',
  'GET /\r HTTP/1.1',
] as const
const bodies = [
  '1\nb\n0\n\n',
  '1\r\nb\n0\r\n\r\n',
  '1 \r\nb\r\n0\r\n\r\n',
  '1;a=b\r\nb\r\n0\r\n\r\n',
  '01\r\nb\r\n00\r\n\r\n',
  '0\r\nX-Neutron-State: primary\r\n\r\n',
  '0\r\nX-A: \x01\r\n\r\n',
  '-1\r\nb\r\n0\r\n\r\n',
  'ffffffffffffffff1\r\nb\r\n0\r\n\r\n',
  '401\r\n',
] as const

type Spoil = (draft: Draft, random: Random) => void
const anyField = ({ fields }: Draft, random: Random) => random.below(Math.max(1, fields.length))

const structural: readonly [Spoil, ...Spoil[]] = [
  (draft, random) => (draft.line = random.of(lines)),
  (draft, random) => draft.fields.splice(anyField(draft, random), 1),
  (draft, random) => {
    const field = draft.fields[anyField(draft, random)]
    if (field !== undefined) draft.fields.splice(anyField(draft, random), 0, [...field])
  },
  (draft, random) => draft.fields.push(...draft.fields.splice(anyField(draft, random), 1)),
  (draft, random) => draft.fields.splice(anyField(draft, random), 0, [random.of(names), ': ', random.of(values)]),
  (draft, random) => {
    const field = draft.fields[anyField(draft, random)]
    if (field !== undefined) field[2] = random.of(values)
  },
  (draft, random) => {
    const field = draft.fields[anyField(draft, random)]
    if (field !== undefined) field[2] = random.once(2) ? field[2] + random.of(odd) : random.of(odd) + field[2]
  },
  (draft, random) => {
    const field = draft.fields[anyField(draft, random)]
    if (field !== undefined) field[1] = random.of([' : ', '', ' ', '\t:', ':\t', ':\r\n ', ': \0'])
  },
  (draft, random) => {
    const field = draft.fields[anyField(draft, random)]
    if (field !== undefined) field[0] = random.once(2) ? field[0] + random.of(odd) : random.of(odd) + field[0]
  },
  (draft, random) => (draft.lineEnd = random.of(['\n', '\r', '\r\r\n', '\n\r'])),
  (draft, random) => {
    frame(draft, random)
    draft.body = random.of([draft.body, ...bodies])
  },
]

function written({ line, fields, lineEnd, body }: Draft): string {
  return [line, ...fields.map((field) => field.join('')), '', ''].join(lineEnd) + body
}

function spoilt(text: string, random: Random): string {
  const at = random.below(text.length + 1)
  const byte = String.fromCharCode(random.below(256))
  const [before, after] = [text.slice(0, at), text.slice(at)]
  const other = random.below(text.length + 1)
  switch (random.below(6)) {
    case 0:
      return before + byte + after
    case 1:
      return before + after.slice(random.of([1, 1, 2, 17]))
    case 2:
      return before + byte + after.slice(1)
    case 3:
      return before + String.fromCharCode(text.charCodeAt(at) ^ (1 << random.below(8))).slice(0, 1) + after.slice(1)
    case 4:
      return random.once(3) ? before : before + text.slice(other, other + 40) + after
    default:
      return before + random.of(odd) + after
  }
}

function inPieces(text: string, random: Random): string[] {
  if (!random.once(3)) return [text]
  if (random.once(10) && text.length < 600) return Array.from(text)
  const cuts = Array.from({ length: random.below(6) }, () => random.below(text.length + 1)).sort((a, b) => a - b)
  return [0, ...cuts].map((cut, at) => text.slice(cut, cuts[at] ?? text.length)).filter((piece) => piece !== '')
}
