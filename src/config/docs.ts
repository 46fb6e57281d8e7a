import { exampleConfig } from './example.ts'
import { configJsonSchema } from './json-schema.ts'
import { configReference } from './reference.ts'

/** Generated documents by their names under docs/. */
export function configDocs(): Readonly<Record<string, string>> {
  return {
    'agent.example.yaml': exampleConfig(),
    'agent.schema.json': `${pretty(configJsonSchema(), '')}\n`,
    'config.md': configReference(),
  }
}

const width = 120

/** JSON in the layout of the repository's formatter: lists of plain values on one line where they fit. */
function pretty(value: unknown, indent: string): string {
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const items = value.map((item) => pretty(item, inner))
    const line = `[${items.join(', ')}]`
    const fits = items.every((item) => !item.includes('\n')) && indent.length + line.length <= width - 24
    return fits ? line : `[\n${items.map((item) => inner + item).join(',\n')}\n${indent}]`
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, child]) => `${inner}${JSON.stringify(key)}: ${pretty(child, inner)}`)
  return entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n${indent}}`
}
