import { deserialize, serialize } from 'node:v8'
import { format, inspect } from 'node:util'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { describeError, KeepwardError } from './error.ts'
import { Secret } from './secret.ts'

const text = 'pl4nted-s3cret-0123456789abcdef'
const secret = new Secret(text)

/** What somebody sees who finds it in one of the ways in which a value becomes text. */
const shows: Record<string, () => string> = {
  'toString()': () => secret.toString(),
  'String()': () => String(secret),
  'a template': () => `a ${secret as unknown as string}`,
  'an addition': () => 'x' + (secret as unknown as string),
  'a join': () => [secret].join(),
  'JSON.stringify()': () => JSON.stringify({ secret, deep: [{ secret }] }),
  'util.inspect()': () => inspect({ secret }, { depth: null, showHidden: true, getters: true }),
  'util.inspect() without its custom way': () => inspect(secret, { customInspect: false, showHidden: true }),
  'util.format()': () => format('%s %j %o %O', secret, secret, secret, secret),
  'Object.entries()': () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)]),
  'a spread': () => inspect(Object.assign({}, secret)),
  'structuredClone()': () => inspect(structuredClone(secret), { customInspect: false, showHidden: true }),
  'v8.serialize()': () => serialize(secret).toString('latin1') + inspect(deserialize(serialize(secret))),
  'the message of an error': () => {
    const cause = new Error(`cause ${secret as unknown as string}`)
    const error = new KeepwardError('internal', `with ${secret as unknown as string}`, { cause })
    return describeError(error) + inspect(error) + String(error.stack)
  },
  'a log line': () => {
    let line = ''
    pino({}, { write: (said: string) => (line += said) }).info({ secret, deep: { secret } }, '%s', secret)
    return line
  },
}

/** As it is, in hexadecimal, and in base64 whatever stands before it. */
const forms = [
  text,
  Buffer.from(text).toString('hex'),
  ...[0, 1, 2].map((shift) =>
    Buffer.from('x'.repeat(shift) + text)
      .toString('base64')
      .slice(4, -4),
  ),
]

test.each(Object.entries(shows))('Secret shows nothing in %s', (_way, show) => {
  const shown = show()
  for (const form of forms) expect(shown).not.toContain(form)
})

test('Secret gives its content to who asks for it, and keeps its own copy', () => {
  const bytes = Buffer.from(text)
  const kept = new Secret(bytes)
  bytes.fill(0)
  kept.revealBytes().fill(0)
  expect(kept.revealText()).toBe(text)
  expect(kept.revealBytes()).toEqual(Buffer.from(text))
})

test('Secret is [secret] where a person looks', () => {
  expect([String(secret), JSON.stringify({ secret }), inspect({ secret })]).toEqual([
    '[secret]',
    '{"secret":"[secret]"}',
    '{ secret: [secret] }',
  ])
})
