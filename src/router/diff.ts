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
  if (Array.isArray(value)) for (const item of value as readonly unknown[]) put(into, `${path}[${keyOf(item)}]`, item)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!(isPrefix(value) && ['address', 'family', 'prefixLength'].includes(key))) {
        put(into, path === '' ? key : `${path}.${key}`, inner)
      }
    }
  } else into.set(path, typeof value === 'string' ? value : JSON.stringify(value))
}

/** List items are named by what they are, so that a new first one does not look like a change of all. */
function keyOf(item: unknown): string {
  if (isPrefix(item)) return formatPrefix(item)
  if (typeof item === 'object' && item !== null) {
    if ('name' in item) return String(item.name)
    if ('destination' in item && isPrefix(item.destination)) return formatPrefix(item.destination)
  }
  return typeof item === 'string' ? item : JSON.stringify(item)
}

function isPrefix(value: unknown): value is Prefix {
  return (
    typeof value === 'object' && value !== null && 'address' in value && 'prefixLength' in value && 'family' in value
  )
}
