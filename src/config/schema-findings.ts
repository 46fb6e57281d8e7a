import type { z } from 'zod'
import { nearest } from './nearest.ts'
import { printable, showValue, type Finding, type Path } from './problem.ts'
import { knownKeysAt } from './schema-walk.ts'

/** What a schema has against a value, in words; `value` is what was parsed. */
export function schemaFindings(schema: z.ZodType, value: unknown): Finding[] {
  const result = schema.safeParse(value)
  if (result.success) return []
  return findingsOf(result.error.issues, [], { schema, value })
}

interface Subject {
  readonly schema: z.ZodType
  readonly value: unknown
}

type Issue = z.core.$ZodIssue

function findingsOf(issues: readonly Issue[], base: Path, subject: Subject): Finding[] {
  const misspelt = new Set(issues.filter(({ code }) => code === 'unrecognized_keys').map(({ path }) => path.join('/')))
  return issues.flatMap((issue) => {
    // What a map lacks as a whole, it may have under a misspelt key.
    if (issue.code === 'custom' && misspelt.has(issue.path.join('/'))) return []
    const path = [...base, ...issue.path.filter((step) => typeof step !== 'symbol')]
    if (issue.code === 'unrecognized_keys') return unknownKeys(issue.keys, path, subject)
    const value = valueAt(subject.value, path)
    const alternative = issue.code === 'invalid_union' && isMap(value) ? issue.errors.find(isAboutTheInside) : undefined
    if (alternative !== undefined) return findingsOf(alternative, path, subject)
    const hint = isAh(value, path) ? insteadOfAh : ''
    const message = saysItself(issue) ? issue.message : `is ${show(value, path)}, ${issue.message}${hint}`
    return [{ path, on: 'value', message }]
  })
}

function unknownKeys(keys: readonly string[], path: Path, subject: Subject): Finding[] {
  const known = knownKeysAt(subject.schema, path)
  return keys.map((key) => {
    const meant = nearest(key, known)
    const among = `must be one of ${known.join(', ')}${isAh(key, path) ? insteadOfAh : ''}`
    const wanted = meant === undefined ? among : `did you mean \`${meant}\`?`
    return { path: [...path, key], on: 'key', message: `unknown key \`${printable(key)}\`; ${wanted}` }
  })
}

/** keepalived's other kind for VRRPv2 (RFC 2338, 5.3.6.3), which RFC 3768 took out. */
const isAh = (word: unknown, path: Path): boolean =>
  path.at(-1) === 'authentication' && typeof word === 'string' && word.toLowerCase() === 'ah'

const insteadOfAh = '; AH is not offered: use hmac, or put WireGuard or IPsec under the HA link (docs/operations.md)'

/** Of the alternatives of a union, the one that takes maps at all: its complaints tell more than "no alternative fits". */
const isAboutTheInside = (issues: readonly Issue[]): boolean =>
  issues.some((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys')

const saysItself = (issue: Issue): boolean => issue.code === 'custom' && issue.params?.['said'] === true

/** An address of a sink may have a password in it, or be as good as one. */
const secretPlaces = ['authentication', 'vault', 'sinks']

/** What stands there, or under `key`, may be a secret that was written where its source belongs. */
function show(value: unknown, path: Path): string {
  const secret = secretPlaces.some((word) => path.includes(word)) || (path.includes('key') && path.at(-1) !== 'id')
  return secret && typeof value === 'string' ? `a text of ${value.length} characters (not shown)` : showValue(value)
}

export function valueAt(root: unknown, path: Path): unknown {
  let at = root
  for (const step of path) {
    if (Array.isArray(at)) at = at[Number(step)] as unknown
    else if (isMap(at) && Object.hasOwn(at, step)) at = at[String(step)]
    else return undefined
  }
  return at
}

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
