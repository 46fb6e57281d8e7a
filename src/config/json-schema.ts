import { z } from 'zod'
import { configSchema } from './schema.ts'

/** The part of JSON Schema (2020-12) that the config's schema uses. */
export interface JsonSchema {
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

/** JSON Schema of the file as an operator writes it, for editors; cross-checks are beyond what it can say. */
export function configJsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, { io: 'input', override: restoreWritten }) as JsonSchema
}

/**
 * zod drops examples and defaults of what it transforms, since it cannot know whether they are meant before or after.
 * Ours are all as written in the file.
 */
function restoreWritten({ zodSchema, jsonSchema }: Override): void {
  const examples = z.globalRegistry.get(zodSchema)?.['examples']
  if (Array.isArray(examples)) jsonSchema.examples = examples
  if (zodSchema instanceof z.ZodPrefault) jsonSchema.default = zodSchema.def.defaultValue
}

interface Override {
  readonly zodSchema: z.core.$ZodType
  readonly jsonSchema: z.core.JSONSchema.BaseSchema
}
