import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair, type YAMLMap } from 'yaml'
import { formatPath, printable, type Finding, type Path, type Problem } from './problem.ts'

/** A YAML text as plain data that still knows where each value stood. */
export interface Source {
  /** Plain data; a value that was refused here is undefined. */
  readonly value: unknown
  /** Where the text is no YAML. Then what was read of it may be cut short, or nested wrongly after the first fault. */
  readonly faults: readonly Problem[]
  /** What is YAML, and not wanted in a config. */
  readonly refusals: readonly Problem[]
  /** Paths of the values that were refused here and need no second complaint. */
  readonly refused: readonly Path[]
  /** Line of a value, or of the nearest one around it that exists. */
  lineOf(path: Path): number
  locate(finding: Finding): Problem
}

/** 1 MiB holds some thousand routers; a bigger file is not a configuration. */
export const maxConfigBytes = 1_048_576

/** The first few faults of a broken text tell; a text of nothing but brackets has a hundred thousand. */
const maxFaults = 20

/** YAML 1.2 core schema, without aliases, tags, repeated keys or a second document. Never throws on bad text. */
export function readSource(text: string): Source {
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes > maxConfigBytes) return unread(`is ${sizeBytes} bytes long, must be at most ${maxConfigBytes}`)
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: 'error',
    // The parser compares each key with each other one: a minute for a file of 1 MiB. The reader below uses a map.
    uniqueKeys: false,
  })
  const reader = new Reader(lines)
  const faults = document.errors.map((error) => reader.problem(error.pos[0], [], wordsFor(error)))
  const tags = document.warnings.map((warning) => reader.problem(warning.pos[0], [], wordsFor(warning)))
  const value = reader.read(document.contents, [])
  return {
    value,
    faults: firstOfEachLine(faults).slice(0, maxFaults),
    refusals: [...tags, ...reader.problems],
    refused: reader.refused,
    lineOf: (path) => lines.linePos(reader.offset(document.contents, path, 'value')).line,
    locate: (finding) =>
      reader.problem(reader.offset(document.contents, finding.path, finding.on), shownPath(finding), finding.message),
  }
}

function wordsFor(fault: { readonly code: string; readonly message: string }): string {
  if (fault.code === 'MULTIPLE_DOCS') return 'is the start of a second document, must be the only one'
  if (fault.code === 'TAG_RESOLVE_FAILED') return `has a tag, must have none: ${printable(fault.message)}`
  return `is not YAML that can be read: ${printable(fault.message, 200)}`
}

/** One slip often makes the parser stumble again on the same line. */
function firstOfEachLine(faults: readonly Problem[]): Problem[] {
  const lines = new Set<number>()
  return faults.filter(({ line }) => !lines.has(line) && lines.add(line))
}

/** Turns nodes into plain data and remembers, for each map, which pair holds a key. */
class Reader {
  readonly problems: Problem[] = []
  readonly refused: Path[] = []
  readonly #pairs = new WeakMap<YAMLMap, Map<string, Pair>>()
  readonly #lines: LineCounter

  constructor(lines: LineCounter) {
    this.#lines = lines
  }

  read(node: unknown, path: Path): unknown {
    if (isMap(node)) return this.#readMap(node, path)
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]))
    if (isAlias(node)) {
      this.#refuse(node, path, 'is an alias, must be written out')
      return undefined
    }
    return isScalar(node) ? node.value : null
  }

  /** Offset of the value at `path`, or of its key; of the innermost value that exists when there is none. */
  offset(root: unknown, path: Path, on: 'key' | 'value'): number {
    let at = root
    for (const [index, step] of path.entries()) {
      const pair = isMap(at) ? this.#pairs.get(at)?.get(String(step)) : undefined
      if (pair !== undefined && on === 'key' && index === path.length - 1) return startOf(pair.key)
      const next = pair === undefined ? (isSeq(at) ? at.items[Number(step)] : undefined) : (pair.value ?? pair.key)
      if (next === undefined) break
      at = next
    }
    return startOf(at)
  }

  problem(offset: number, path: Path, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1), path: formatPath(path), message }
  }

  #readMap(map: YAMLMap, path: Path): unknown {
    const pairs = new Map<string, Pair>()
    this.#pairs.set(map, pairs)
    const entries: [string, unknown][] = []
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined
      if (key === undefined) {
        this.problems.push(this.problem(startOf(pair.key), path, 'has a key that is not a word, must have words only'))
        continue
      }
      const first = pairs.get(key)
      if (first === undefined) {
        pairs.set(key, pair)
        entries.push([key, this.read(pair.value, [...path, key])])
      } else {
        this.#refuseSecond(key, first, pair, path)
      }
    }
    return Object.fromEntries(entries)
  }

  #refuseSecond(key: string, first: Pair, second: Pair, path: Path): void {
    const { line } = this.#lines.linePos(startOf(first.key))
    const message = `stands here again, must stand once (first on line ${line})`
    this.problems.push(this.problem(startOf(second.key), [...path, key], message))
  }

  #refuse(node: Node, path: Path, message: string): void {
    this.problems.push(this.problem(startOf(node), path, message))
    this.refused.push(path)
  }
}

/** An unknown key is a fault of the map that it stands in. */
const shownPath = (finding: Finding): Path => (finding.on === 'key' ? finding.path.slice(0, -1) : finding.path)

function startOf(node: unknown): number {
  const range = typeof node === 'object' && node !== null && 'range' in node ? (node as Node).range : undefined
  return range?.[0] ?? 0
}

function unread(message: string): Source {
  const problem = { line: 1, column: 1, path: '', message }
  return { value: undefined, faults: [problem], refusals: [], refused: [[]], lineOf: () => 1, locate: () => problem }
}
