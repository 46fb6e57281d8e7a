import { describe, expect, test } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { makeLogger } from './log.ts'
import { idsIn, pseudonymForm, pseudonymOf, Pseudonyms } from './pseudonym.ts'

const uuid = 'e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d'
const key = new Secret(Buffer.alloc(32, 7))
// HMAC-SHA-256 by openssl(1), its first 20 hexadecimal digits in base 32.
const pseudonyms = { r1: 'r-omhs5vscrc6s9dvn', [uuid]: 'r-u7o2vvgomhf75jq5' }

function named(...known: string[]): Pseudonyms {
  const names = new Pseudonyms()
  names.useKey(key)
  names.learn(known)
  return names
}

/** What a line becomes that is logged so. */
function logged(names: Pseudonyms | undefined, fields: object, message = 'told'): string {
  let line = ''
  const to = { write: (text: string) => (line += text) }
  makeLogger('trace', 'host1', { names, to }).debug(fields, message)
  return line
}

describe('pseudonymOf()', () => {
  test('is always the same for a key, and another for another key', () => {
    expect([pseudonymOf(key, 'r1'), pseudonymOf(key, uuid)]).toEqual([pseudonyms.r1, pseudonyms[uuid]])
    expect(pseudonymOf(new Secret(Buffer.alloc(32, 8)), 'r1')).not.toBe(pseudonyms.r1)
  })

  test('has one form, whatever the digits', () => {
    const wrong = Array.from({ length: 5000 }, (_, n) => pseudonymOf(key, `r${String(n)}`)).filter(
      (one) => !pseudonymForm.test(one),
    )
    expect(wrong).toEqual([])
  })
})

describe('Pseudonyms', () => {
  test.each([
    ['r1', 'R'],
    ['router r1, and r1.', 'router R, and R.'],
    ['/run/keepward/routers/r1/keepalived.conf', '/run/keepward/routers/R/keepalived.conf'],
    ['ip netns exec qrouter-r1 keepalived', 'ip netns exec qrouter-R keepalived'],
    ['keepward:host1:r1', 'keepward:host1:R'],
    ['_r1_ "r1" (r1) r1/24 r1', '_R_ "R" (R) R/24 R'],
    ['r1-b', 'B'],
    ['keepward-r1-b.json', 'keepward-B.json'],
    ['err1 r12 1r1 r1r1 R1', 'err1 r12 1r1 r1r1 R1'],
    ['', ''],
  ])('text() of %j is %j', (text, wanted) => {
    const b = pseudonymOf(key, 'r1-b')
    expect(named('r1', 'r1-b').text(text).replaceAll(b, 'B').replaceAll(pseudonyms.r1, 'R')).toBe(wanted)
  })

  test('a long text of words takes no longer than a look at each', () => {
    const startMs = performance.now()
    named('r1').text('a-'.repeat(20_000))
    expect(performance.now() - startMs).toBeLessThan(3000)
  })

  test('hides a router that it never heard of, in its field and in the rest of the line', () => {
    const line = logged(named(), { router: uuid, text: `namespace qrouter-${uuid} is gone`, key: uuid })
    expect(line).not.toContain(uuid)
    expect(line.split(pseudonyms[uuid])).toHaveLength(4)
  })

  test('hides ids wherever they are in a line: message, error, lists, fields within fields', () => {
    const err = new Error(`no such namespace keepward-${uuid}`)
    const deep = { a: [{ b: [uuid] }], router: 'r1', at: { path: `/x/${uuid}` } }
    const line = logged(named(uuid), { err, deep, controlGroup: `/system.slice/keepalived-${uuid}.scope` }, uuid)
    expect(line).not.toContain(uuid)
    expect(line).not.toMatch(/(?<![a-z0-9])r1(?![a-z0-9])/)
  })

  test('leaves our own words alone, although a router has such a name', () => {
    const names = named('host1', 'debug', 'raised', 'backup', 'transition')
    const line = JSON.parse(logged(names, { kind: 'transition', change: 'raised', to: 'backup' })) as object
    expect(line).toMatchObject({ agent: 'host1', level: 'debug', kind: 'transition', change: 'raised', to: 'backup' })
  })

  test('tells nothing of a config that is not in force, whose routers nobody knows', () => {
    const text = `agent.yaml:3:7 routers[0].vrid: of ${uuid} is 300`
    for (const body of [
      { code: 'config-not-applied', text },
      { change: 'refused', code: 'internal', text },
    ]) {
      const { text: told, ...rest } = named().hide({ kind: 'condition', body })['body'] as Record<string, string>
      expect([told, rest]).toEqual([
        'withheld: it may quote a config that is not in force (`keepward status` and `keepward events` show it)',
        { ...body, text: undefined },
      ])
    }
  })

  test('has one word for all ids as long as there is no key', () => {
    const names = new Pseudonyms()
    names.learn(['r1', 'r2'])
    expect(names.text('r1 or r2')).toBe('r-without-key or r-without-key')
  })

  test('error() keeps the code and the hint', () => {
    const error = new KeepwardError('host-failed', 'still there: r1', { hint: 'look at r1' })
    expect(named('r1').error(error)).toMatchObject({
      code: 'host-failed',
      message: `still there: ${pseudonyms.r1}`,
      hint: `look at ${pseudonyms.r1}`,
    })
  })

  test('without it a line is as it was', () => {
    expect(JSON.parse(logged(undefined, { router: 'r1' }))).toMatchObject({ router: 'r1' })
  })
})

test('idsIn() finds the ids in fields of their own', () => {
  const record = {
    router: 'a',
    kind: 'claim',
    body: { router: 'b', key: 'c', state: 'backup' },
    list: [{ router: 'd' }],
  }
  expect(idsIn(record)).toEqual(['a', 'b', 'c', 'd'])
  expect(idsIn({ kind: 'config', body: { key: '0123456789abcdef' } })).toEqual([])
})
