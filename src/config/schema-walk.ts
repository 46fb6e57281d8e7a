import { z } from 'zod'
import type { Path } from './problem.ts'

/**
 * The parts of a schema that one can walk into: zod wraps an object in defaults, options and transforms. `union` is the
 * object among the alternatives, if any.
 */
export type Core =
  | { readonly kind: 'object'; readonly shape: Readonly<Record<string, z.core.$ZodType>> }
  | { readonly kind: 'array'; readonly element: z.core.$ZodType }
  | { readonly kind: 'leaf' }

/** What is left of a schema without defaults, options and transforms, and among alternatives the map. */
export function coreOf(schema: z.core.$ZodType): Core {
  if (schema instanceof z.ZodObject) return { kind: 'object', shape: schema.shape }
  if (schema instanceof z.ZodArray) return { kind: 'array', element: schema.element }
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) return coreOf(schema.def.innerType)
  if (schema instanceof z.ZodPipe) return coreOf(schema.def.in)
  if (schema instanceof z.ZodUnion) {
    const cores = schema.options.map(coreOf)
    return cores.find((core) => core.kind === 'object') ?? { kind: 'leaf' }
  }
  return { kind: 'leaf' }
}

/** The keys that the map at `path` may have; none when `path` leads to no map. */
export function knownKeysAt(root: z.core.$ZodType, path: Path): string[] {
  let core = coreOf(root)
  for (const step of path) {
    const next = core.kind === 'object' ? core.shape[String(step)] : core.kind === 'array' ? core.element : undefined
    if (next === undefined) return []
    core = coreOf(next)
  }
  return core.kind === 'object' ? Object.keys(core.shape) : []
}
