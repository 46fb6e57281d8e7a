import { z } from 'zod'
import { flow } from './example.ts'
import { configJsonSchema, type JsonSchema } from './json-schema.ts'
import { coreOf } from './schema-walk.ts'
import { configSchema } from './schema.ts'
import { trustText } from './trust-text.ts'
import { weakeningRules } from './weakening.ts'

/** docs/config.md: every setting as the loader judges it, what weakens, and whom the agent believes. */
export function configReference(): string {
  const sections = settingSections().flatMap((settings) => {
    const [own, ...below] = settings
    if (own === undefined) return []
    const isMap = below.length > 0 && !below.some(({ path }) => path.startsWith(`${own.path}[]`))
    const told = isMap && own.meaning !== '' ? [escaped(own.meaning), ''] : []
    return [`### ${own.path}`, '', ...told, ...settingsTable(isMap ? below : settings), '']
  })
  return [
    '# Config',
    '',
    `${configJsonSchema().description ?? ''} Made from the schema by \`script/node src/config/write-docs.ts\`.`,
    '[agent.example.yaml](agent.example.yaml) has every key in its place, [agent.schema.json](agent.schema.json) is for editors,',
    '`keepward validate` names what is wrong.',
    '',
    ...trustText,
    '',
    '## What weakens',
    '',
    'Nothing of it is so unless the file says it. `keepward doctor --security` lists what is.',
    '',
    ...table(
      ['Setting', 'Safe', 'What another value opens', 'Instead'],
      weakeningRules.map(({ setting, safe, opens, instead }) => [`\`${setting}\``, safe, opens, instead]),
    ),
    '',
    '## Settings',
    '',
    '`[]` stands for each item of a list.',
    '',
    ...sections,
  ].join('\n')
}

/** A key of the file, with the path to it. */
export interface Setting {
  readonly path: string
  readonly wanted: string
  /** As written in the file; undefined: there is none. */
  readonly default: string | undefined
  readonly required: boolean
  readonly meaning: string
}

/** Each key at the top of the file, and behind it all those below. */
export function settingSections(): Setting[][] {
  const json = configJsonSchema()
  return Object.entries(configSchema.shape).map(([key, schema]) =>
    settingsOf(key, schema, json.properties?.[key] ?? {}, json.required?.includes(key) ?? false),
  )
}

/** The key itself, then those below it. */
function settingsOf(path: string, schema: z.core.$ZodType, json: JsonSchema, required: boolean): Setting[] {
  const own = {
    path,
    wanted: wantedBy(schema),
    default: json.default === undefined || isEmptyMap(json.default) ? undefined : flow(json.default),
    required,
    meaning: json.description ?? '',
  }
  const core = coreOf(schema)
  const inner = core.kind === 'array' ? coreOf(core.element) : core
  if (inner.kind !== 'object') return [own]
  const below = mapIn(core.kind === 'array' ? json.items : json)
  const prefix = core.kind === 'array' ? `${path}[]` : path
  const children = Object.entries(inner.shape).flatMap(([key, child]) =>
    settingsOf(`${prefix}.${key}`, child, below?.properties?.[key] ?? {}, below?.required?.includes(key) ?? false),
  )
  return [own, ...children]
}

/** The loader's own words for a value that cannot be right. */
function wantedBy(schema: z.core.$ZodType): string {
  const { error } = z.safeParse(schema, null)
  return (error?.issues[0]?.message ?? '').replace(/^must be /, '')
}

/** The map among the alternatives, if any. */
const mapIn = (json: JsonSchema | undefined): JsonSchema | undefined =>
  json?.properties === undefined ? json?.anyOf?.find(({ properties }) => properties !== undefined) : json

const isEmptyMap = (value: unknown): boolean => flow(value) === '{}'

function settingsTable(settings: readonly Setting[]): string[] {
  return table(
    ['Setting', 'Must be', 'Default', 'Meaning'],
    settings.map((one) => [
      `\`${one.path}\``,
      one.wanted,
      one.default === undefined ? (one.required ? 'required' : '–') : `\`${one.default}\``,
      one.meaning,
    ]),
  )
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)]
}

/** Markdown takes `<id>` for HTML, and `|` for the end of a cell; not within back quotes, where a path has neither. */
const escaped = (text: string): string =>
  text
    .split('`')
    .map((part, index) => (index % 2 === 0 ? part.replaceAll(/[<|*]/g, String.raw`\$&`) : part))
    .join('`')
