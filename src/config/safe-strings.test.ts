import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { exampleRouters } from './example-routers.ts'
import { loadConfig } from './load.ts'
import { ConfigError } from './problem.ts'

/** No white space, quote, brace, comment sign, `$`, `@` or control character, and nothing that reads as an option. */
const safeForm = /^[A-Za-z0-9_/:.][A-Za-z0-9_/:.-]*$/

const nasty = fc.oneof(
  fc.constantFrom(
    'ha0',
    'ext0',
    'a}',
    'a b',
    'x#y',
    '!x',
    '$x',
    '@x',
    '"',
    "'",
    '-x',
    '..',
    '/',
    '/etc/../x',
    'a\nb',
    '',
    '0',
    '~',
  ),
  fc.constantFrom(
    '10.0.0.1',
    '10.0.0.1/24',
    'fe80::1/64',
    '::/0',
    'default',
    '1s',
    '10ms',
    'none',
    'existing',
    '\u202e',
    '\u0000',
  ),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom(...Array.from('abz09._-/:@#$!{}"\' \t\n')), maxLength: 20 }),
  fc.constantFrom<unknown>(0, 1, 255, -1, 1.5, null, true, [], {}, ['ha0'], { bridge: 'br0' }),
)

test('loadConfig() gives safe strings only, or a ConfigError that is safe to print, whatever stands in the file', () => {
  let loaded = 0
  const wishes = fc.array(fc.tuple(fc.nat(), nasty), { minLength: 0, maxLength: 2 })
  fc.assert(
    fc.property(wishes, (changes) => {
      const text = stringify(changes.reduce<unknown>((file, [at, value]) => replaceLeaf(file, at, value), example()))
      try {
        const strings = stringsIn(loadConfig(text, 'agent.yaml', 'host-a'))
        expect(strings.filter((one) => !safeForm.test(one))).toEqual([])
        loaded += 1
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        expect(error.message).not.toMatch(/(?!\n)\p{C}/u)
      }
    }),
    { numRuns: 600, seed: 7 },
  )
  expect(loaded).toBeGreaterThan(150)
})

const example = (): unknown => ({
  version: 1,
  agent: { id: 'host-a' },
  paths: { state: '/var/lib/keepward', run: '/run/keepward' },
  control: { group: 'keepward' },
  routers: [
    { ...exampleRouters[0], namespace: 'ns', track: ['ha0'], authentication: 'none', marker: '169.254.0.7/24' },
    exampleRouters[1],
  ],
})

/** The same data with the leaf number `at` (counted round and round) replaced. */
function replaceLeaf(file: unknown, at: number, value: unknown): unknown {
  const target = at % leavesOf(file).length
  let seen = -1
  const walk = (node: unknown): unknown => {
    if (Array.isArray(node) && node.length > 0) return node.map(walk)
    if (typeof node === 'object' && node !== null && Object.keys(node).length > 0) {
      return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, walk(child)]))
    }
    seen += 1
    return seen === target ? value : node
  }
  return walk(file)
}

function leavesOf(node: unknown): unknown[] {
  if (typeof node !== 'object' || node === null) return [node]
  const children: unknown[] = Object.values(node)
  return children.length === 0 ? [node] : children.flatMap(leavesOf)
}

const stringsIn = (node: unknown): string[] => leavesOf(node).filter((leaf) => typeof leaf === 'string')
