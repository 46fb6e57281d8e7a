import { formatPrefix, type Prefix } from '../base/address.ts'
import type { RouterSpec } from './spec.ts'

/** One setting that differs; `before` or `after` is undefined where it was not, or will not be, there. */
export interface SettingChange {
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
}

/** What differs between two wishes for one router, setting by setting, in the order of their paths. */
export function compareSpecs(before: RouterSpec | undefined, after: RouterSpec | undefined): SettingChange[] {
  const old = flatten(before)
  const young = flatten(after)
  return [...new Set([...old.keys(), ...young.keys()])]
    .filter((path) => old.get(path) !== young.get(path))
    .sort()
    .map((path) => ({ path, before: old.get(path), after: young.get(path) }))
}

function flatten(spec: RouterSpec | undefined): Map<string, string> {
  const into = new Map<string, string>()
  if (spec !== undefined) put(into, '', spec)
  return into
}

function put(into: Map<string, string>, path: string, value: unknown): void {
  if (value === undefined) return
  if (isPrefix(value)) into.set(path, formatPrefix(value))
  if (Array.isArray(value)) putList(into, path, value)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!(isPrefix(value) && ['address', 'family', 'prefixLength'].includes(key))) {
        put(into, path === '' ? key : `${path}.${key}`, inner)
      }
    }
  } else into.set(path, typeof value === 'string' ? value : JSON.stringify(value))
}

/** List items are named by what they are, so that a new first one does not look like a change of all; a second of a name is its `#2`. */
function putList(into: Map<string, string>, path: string, items: readonly unknown[]): void {
  const counts = new Map<string, number>()
  for (const item of items) {
    const key = keyOf(item)
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    put(into, `${path}[${key}${count === 1 ? '' : ` #${String(count)}`}]`, item)
  }
}

function keyOf(item: unknown): string {
  if (isPrefix(item)) return formatPrefix(item)
  if (typeof item === 'object' && item !== null) {
    const fields = new Map(Object.entries(item))
    for (const name of naming) {
      const value: unknown = fields.get(name)
      if (isPrefix(value)) return formatPrefix(value)
      if (typeof value === 'string' || typeof value === 'number') return String(value)
    }
  }
  return typeof item === 'string' ? item : JSON.stringify(item)
}

/** What tells items of a list apart, as far as they have it: the first of these. */
const naming = ['name', 'destination', 'program', 'prefix', 'outside', 'to', 'address', 'interface', 'id']

function isPrefix(value: unknown): value is Prefix {
  return (
    typeof value === 'object' && value !== null && 'address' in value && 'prefixLength' in value && 'family' in value
  )
}
