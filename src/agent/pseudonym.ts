import { createHmac } from 'node:crypto'
import { KeepwardError, sentenceOf } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import type { JsonObject, JsonValue } from '../journal/record.ts'

/** In the state directory: who has it can tell which router a pseudonym is. */
export const pseudonymKeyName = 'pseudonym.key'

export const pseudonymForm = /^r-[0-9a-v]{16}$/

/** HMAC-SHA-256 of the id, its first 80 bits in base32 (RFC 4648, 7: the digits 0-9 and a-v). */
export function pseudonymOf(key: Secret, id: string): string {
  const bits = createHmac('sha256', key.revealBytes()).update(id).digest('hex').slice(0, 20)
  return `r-${BigInt(`0x${bits}`).toString(32).padStart(16, '0')}`
}

/**
 * Puts pseudonyms in the place of router ids: in each field `router`, and wherever an id that it knows stands in a text, a path or a
 * name as a word of its own. The one place that does: log lines and exported records pass through it when they are whole.
 */
export class Pseudonyms {
  #key: Secret | undefined
  readonly #known = new Set<string>()
  /** Read in fields `router` of lines, which strangers fill too: the newest. */
  readonly #heard = new Set<string>()

  /** Until it is called, every pseudonym is {@link unkeyed}. */
  useKey(key: Secret): void {
    this.#key = key
  }

  learn(ids: Iterable<string>): void {
    for (const id of ids) this.#known.add(id)
  }

  of(id: string): string {
    return this.#key === undefined ? unkeyed : pseudonymOf(this.#key, id)
  }

  /** A log line, one JSON object, with its line end. */
  line(line: string): string {
    return `${JSON.stringify(this.hide(JSON.parse(line) as JsonObject))}\n`
  }

  hide(value: JsonObject): JsonObject {
    for (const id of idsIn(value)) this.#hear(id)
    return this.#hideObject(value)
  }

  text(text: string): string {
    return text.replace(word, (run) => this.#run(run))
  }

  /** As a person is told of it, without its causes. */
  error(error: unknown): KeepwardError {
    const { code, hint } = error instanceof KeepwardError ? error : new KeepwardError('internal', '')
    return new KeepwardError(code, this.text(sentenceOf(error)), { hint: this.text(hint) })
  }

  #hear(id: string): void {
    this.#heard.delete(id)
    this.#heard.add(id)
    const [oldest] = this.#heard
    if (this.#heard.size > maxHeard && oldest !== undefined) this.#heard.delete(oldest)
  }

  #hideObject(object: JsonObject): JsonObject {
    const fields = Object.entries(object).map(([name, value]) => {
      if (isId(name, value, object)) return [name, this.of(value)] as const
      if (name === 'text' && isOfOtherConfig(object)) return [name, withheld] as const
      return [name, vocabulary.has(name) ? value : this.#hideValue(value)] as const
    })
    return Object.fromEntries(fields)
  }

  #hideValue(value: JsonValue): JsonValue {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((item: JsonValue) => this.#hideValue(item))
    return typeof value === 'object' && value !== null ? this.#hideObject(value as JsonObject) : value
  }

  /** An id may stand behind other words, as in qrouter-ID: it begins and ends where a word does, and the longest wins. */
  #run(run: string): string {
    let told = ''
    for (let at = 0; at < run.length;) {
      const end = isEdge(run, at) ? this.#endOfId(run, at) : undefined
      told += end === undefined ? run.charAt(at) : this.of(run.slice(at, end))
      at = end ?? at + 1
    }
    return told
  }

  #endOfId(run: string, from: number): number | undefined {
    for (let end = Math.min(run.length, from + maxIdLength); end > from; end--) {
      const id = isEdge(run, end) ? run.slice(from, end) : ''
      if (this.#known.has(id) || this.#heard.has(id)) return end
    }
    return undefined
  }
}

/** What stands for an id as long as there is no key. */
export const unkeyed = 'r-without-key'

/** A config that is not in force names routers that nobody here knows. */
const withheld =
  'withheld: it may quote a config that is not in force (`keepward status` and `keepward events` show it)'

const maxHeard = 4096
const maxIdLength = 64
const word = /[A-Za-z0-9][A-Za-z0-9._-]*/g
const letter = /[A-Za-z0-9]/

/** Not between two letters or digits. */
const isEdge = (text: string, at: number): boolean => !letter.test(text.charAt(at - 1)) || !letter.test(text.charAt(at))

/** Words of ours, in which a router that bears such a name is not meant. */
const vocabulary: ReadonlySet<string> = new Set(['level', 'time', 'agent', 'kind', 'code', 'change', 'from', 'to'])

/** A sender's key bears the id of the router that it spoke of, unless the config gives it another. */
const isId = (name: string, value: JsonValue, { router }: JsonObject): value is string =>
  typeof value === 'string' && (name === 'router' || (name === 'key' && router !== undefined))

const isOfOtherConfig = ({ code, reason, change }: JsonObject): boolean =>
  change === 'refused' || [code, reason].some((word) => typeof word === 'string' && word.startsWith('config-'))

/** The ids that stand in fields of their own. */
export function idsIn(value: JsonValue): string[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item: JsonValue) => idsIn(item))
  const object = value as JsonObject
  return Object.entries(object).flatMap(([name, inner]) => (isId(name, inner, object) ? [inner] : idsIn(inner)))
}
