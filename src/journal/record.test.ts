import { expect, test } from 'vitest'
import { canonicalJson, genesisHash, parseRecord, recordHash, recordText } from './record.ts'
import type { JsonValue, Line } from './record.ts'

const line: Line = {
  seq: 7,
  kind: 'transition',
  router: 'r1',
  routerSeq: 3,
  wallMs: 1763632800000,
  monoMs: 12345.678,
  body: '{"from":"backup","lastedMs":1500,"to":"primary"}',
  lateAtMs: 12445.678,
}
const origin = { agent: 'host1', boot: 'b-1', epoch: { journal: '00ff', start: 2 } }

const golden =
  '{"agent":"host1","at":{"monoMs":12345.678,"wallMs":1763632800000},' +
  '"body":{"from":"backup","lastedMs":1500,"to":"primary"},"boot":"b-1","epoch":{"journal":"00ff","start":2},' +
  '"kind":"transition","late":false,"previous":"0000000000000000000000000000000000000000000000000000000000000000",' +
  '"router":"r1","routerSeq":3,"seq":7}'

test('recordText() is canonical JSON of all fields but hash', () => {
  expect(recordText(line, origin, genesisHash, false)).toBe(golden)
})

test('recordText() leaves router and routerSeq out when the record has none', () => {
  const text = recordText(
    { ...line, kind: 'agent', router: undefined, routerSeq: undefined, body: '{}' },
    origin,
    genesisHash,
    true,
  )
  expect(text).toBe(
    '{"agent":"host1","at":{"monoMs":12345.678,"wallMs":1763632800000},"body":{},"boot":"b-1",' +
      '"epoch":{"journal":"00ff","start":2},"kind":"agent","late":true,' +
      '"previous":"0000000000000000000000000000000000000000000000000000000000000000","seq":7}',
  )
})

test('recordHash() is what sha256sum(1) says', () => {
  expect(recordHash(golden)).toBe('cd940fefffe9a45fb90d656565712b27e32b6e13382f4549e44ea63505dbe572')
})

test('parseRecord() gives every field back', () => {
  expect(parseRecord(golden, 'h')).toEqual({
    seq: 7,
    kind: 'transition',
    router: 'r1',
    routerSeq: 3,
    at: { wallMs: 1763632800000, monoMs: 12345.678 },
    body: { from: 'backup', lastedMs: 1500, to: 'primary' },
    agent: 'host1',
    boot: 'b-1',
    epoch: { journal: '00ff', start: 2 },
    late: false,
    previous: '0000000000000000000000000000000000000000000000000000000000000000',
    hash: 'h',
  })
})

test.each(['', '[]', 'null', '{}', golden.replace('"transition"', '"rumour"'), golden.replace(',"routerSeq":3', '')])(
  'parseRecord() refuses %s',
  (text) => {
    expect(parseRecord(text, 'h')).toBeUndefined()
  },
)

test.each<[JsonValue, string]>([
  [
    { b: 1, a: [true, null, 'x'], Z: { é: -0, '\u{1f600}': 1e21 } },
    '{"Z":{"é":0,"😀":1e+21},"a":[true,null,"x"],"b":1}',
  ],
  ['\u0000"\\\ud800', '"\\u0000\\"\\\\\\ud800"'],
  [0.1, '0.1'],
])('canonicalJson() follows RFC 8785 for %j', (value, text) => {
  expect(canonicalJson(value)).toBe(text)
})

test('canonicalJson() refuses a number that JSON cannot express', () => {
  expect(() => canonicalJson({ lastedMs: NaN })).toThrow('A journal body holds NaN, which JSON cannot express')
})
