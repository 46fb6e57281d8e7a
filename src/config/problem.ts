import { KeepwardError } from '../base/error.ts'

/** One thing that is wrong in a config file; line and column count from 1, in UTF-16 units as editors do. */
export interface Problem {
  readonly line: number
  readonly column: number
  /** `routers[0].vrid`; empty for what concerns the text itself. */
  readonly path: string
  /** Says what is and what is wanted. */
  readonly message: string
}

/** Where a value stands in the document: map keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** A problem before it has a line: in the value at `path`, or in the key that ends it. */
export interface Finding {
  readonly path: Path
  readonly on: 'key' | 'value'
  readonly message: string
}

/** Code `config-invalid`; carries every problem of the file at once, in the order of the file. */
export class ConfigError extends KeepwardError {
  readonly problems: readonly Problem[]

  constructor(fileName: string, problems: readonly Problem[]) {
    super('config-invalid', problems.map((problem) => formatProblem(fileName, problem)).join('\n'))
    this.problems = problems
  }
}

/** `agent.yaml:8:11 routers[0].vrid: is 300, must be a whole number from 1 to 255` */
export function formatProblem(fileName: string, problem: Problem): string {
  const path = problem.path === '' ? '' : `${problem.path}: `
  return visible(`${fileName}:${problem.line}:${problem.column} ${path}${problem.message}`)
}

export function formatPath(path: Path): string {
  const parts = path.map((step) => (typeof step === 'number' ? `[${String(step)}]` : `.${printable(step)}`))
  return parts.join('').replace(/^\./, '')
}

/** A value as a message shows it: short, on one line, and unable to move the cursor of a terminal. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'empty'
  if (typeof value === 'string') return `"${printable(withoutUser(value))}"`
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (!Array.isArray(value)) return 'a map'
  return value.length === 0 ? 'an empty list' : 'a list'
}

/** An address that was copied from elsewhere may have a password in it. */
const withoutUser = (text: string): string => text.replace(/:\/\/.*@/s, '://...@')

const shownLength = 60

/** Text with quotes and invisible characters escaped, cut where it gets long. */
export function printable(text: string, length: number = shownLength): string {
  const cut = text.length > length ? `${text.slice(0, length)}...` : text
  return visible(cut.replace(/["\\]/g, '\\$&'))
}

/** Controls, formatting marks (bidirectional ones too) and odd spaces as escapes: terminals and logs obey them. */
function visible(text: string): string {
  return text.replace(/\p{C}|(?! )\p{Z}/gu, (character) => {
    return shortEscapes[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
