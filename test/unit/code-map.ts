import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

export const root = new URL('../../', import.meta.url).pathname

/** One row of the code map in ARCHITECTURE.md. */
export interface Room {
  /** From the project's root, with a slash at its end. */
  readonly folder: string
  readonly job: string
  /** Folders under src/; undefined: all. */
  readonly mayImport: readonly string[] | undefined
}

/** Read the table `| Room | Its job | May import |`. */
export function readCodeMap(text: string): Room[] {
  const lines = text.split('\n')
  const head = lines.findIndex((line) => /^\|\s*Room\s*\|\s*Its job\s*\|\s*May import\s*\|$/.test(line.trim()))
  if (head < 0) throw new Error('ARCHITECTURE.md has no table | Room | Its job | May import |')
  const rows: Room[] = []
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break
    const [folder = '', job = '', imports = ''] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
    rows.push({ folder: folder.replaceAll('`', ''), job, mayImport: readImports(imports) })
  }
  return rows
}

function readImports(text: string): readonly string[] | undefined {
  if (text === 'all') return undefined
  return text === '–' ? [] : text.split(',').map((one) => one.trim())
}

/** Every TypeScript file below a folder, from the project's root. */
export function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && statSync(join(root, folder, name)).isFile())
    .map((name) => join(folder, name))
    .sort()
}

export const isTest = (file: string): boolean => file.endsWith('.test.ts')
export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** The room of a file: `src/agent/` for src/agent/control/server.ts. */
export const roomOf = (file: string): string => /^src\/[^/]+\//.exec(file)?.[0] ?? `${file.split('/')[0] ?? ''}/`

export interface Import {
  readonly line: number
  /** As written. */
  readonly from: string
  /** The file that it leads to, from the project's root; undefined for a package or a module of Node.js. */
  readonly file: string | undefined
  readonly typesOnly: boolean
}

/** Static and dynamic imports and re-exports of a file. */
export function importsOf(file: string): Import[] {
  const text = read(file)
  const form =
    /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?\s*['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]/g
  return [...text.matchAll(form)].map((match) => {
    const from = match[1] ?? match[2] ?? ''
    const target = from.startsWith('.') ? normalize(join(dirname(file), from)) : undefined
    return {
      line: text.slice(0, match.index + match[0].length).split('\n').length,
      from,
      file: target === undefined ? undefined : relative('.', target),
      typesOnly: /^\s*(?:import|export)\s+type\b/.test(match[0]),
    }
  })
}
