import { stringify } from 'yaml'
import { configJsonSchema, type JsonSchema } from './json-schema.ts'
import { isMap } from './schema-findings.ts'

/**
 * The commented example, made from the schema's descriptions, defaults and examples. A key that the example does not
 * use stands there as a comment, so that every key there is can be found.
 */
export function exampleConfig(): string {
  const schema = configJsonSchema()
  const sections = Object.entries(schema.properties ?? {}).map(([key, child]) => {
    return keyLines(key, child, isLeftOut(child) ? undefined : sampleOf(child), '').join('\n')
  })
  return `${[comment(schema.description ?? '', '').join('\n'), ...sections].join('\n\n')}\n`
}

/** A section, or a list, without which all goes well; its example shows it whole. */
const isLeftOut = ({ properties, items, examples, default: given }: JsonSchema): boolean =>
  examples !== undefined &&
  ((properties !== undefined && given === undefined) || (items !== undefined && Array.isArray(given)))

const width = 100

/** Its first example, its default, or the map of the defaults of its keys; where none has one, of their examples. */
function sampleOf(schema: JsonSchema): unknown {
  if (schema.properties === undefined) return schema.examples?.[0] ?? schema.default
  const defaults = pick(schema.properties, (child) => child.default)
  return Object.keys(defaults).length > 0 ? defaults : pick(schema.properties, sampleOf)
}

function pick(properties: Properties, choose: (child: JsonSchema) => unknown): Record<string, unknown> {
  const chosen = Object.entries(properties).map(([key, child]) => [key, choose(child)] as const)
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined))
}

function keyLines(key: string, schema: JsonSchema, value: unknown, indent: string): string[] {
  const told = [...comment(schema.description ?? '', indent), ...alternatives(key, schema, value, indent)]
  if (value === undefined) return [...told, `${indent}# ${key}: ${flow(schema.examples?.[0] ?? sampleOf(schema))}`]
  if (schema.properties !== undefined && isMap(value)) {
    return [...told, `${indent}${key}:`, ...mapLines(schema.properties, value, `${indent}  `)]
  }
  const item = schema.items?.properties
  if (item !== undefined && Array.isArray(value) && value.length > 0) {
    return [...told, `${indent}${key}:`, ...listLines(item, value, `${indent}  `)]
  }
  return [...told, `${indent}${key}: ${flow(value)}`]
}

type Properties = NonNullable<JsonSchema['properties']>

function mapLines(properties: Properties, value: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(properties).flatMap(([key, child]) => keyLines(key, child, value[key] ?? child.default, indent))
}

/** The first item says what each key means; the others show how short an item can be. */
function listLines(properties: Properties, items: readonly unknown[], indent: string): string[] {
  return items.flatMap((item, index) => {
    if (!isMap(item)) return []
    const lines = index === 0 ? mapLines(properties, item, `${indent}  `) : plainLines(item, `${indent}  `)
    return index === 0 ? [`${indent}-`, ...lines] : dashed(lines, indent)
  })
}

/** On one line where it fits, else a block of such lines. */
function plainLines(value: Readonly<Record<string, unknown>>, indent: string): string[] {
  const line = indent + flow(value)
  if (line.length <= width) return [line]
  return Object.entries(value).flatMap(([key, child]) => {
    if (Array.isArray(child) && child.every(isMap) && `${indent}${key}: ${flow(child)}`.length > width) {
      return [`${indent}${key}:`, ...child.flatMap((item) => dashed(plainLines(item, `${indent}    `), `${indent}  `))]
    }
    return [`${indent}${key}: ${flow(child)}`]
  })
}

const dashed = (lines: readonly string[], indent: string): string[] =>
  lines.map((line, index) => (index === 0 ? `${indent}- ${line.trimStart()}` : line))

/** Other ways to write a key; each item of a list shows its own. */
function alternatives(key: string, schema: JsonSchema, value: unknown, indent: string): string[] {
  if (value === undefined || (Array.isArray(value) && value.length > 0)) return []
  const others = (schema.examples ?? []).filter((one) => flow(one) !== flow(value))
  return others.map((one) => `${indent}#   or  ${key}: ${flow(one)}`)
}

/** A value on one line, as YAML. */
export function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: true, lineWidth: 0 }).trimEnd()
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && `${indent}# ${line} ${word}`.length > width) {
      lines.push(`${indent}# ${line}`)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return line === '' ? lines : [...lines, `${indent}# ${line}`]
}
