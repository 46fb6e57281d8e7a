import pLimit from 'p-limit'
import { z } from 'zod'
import type { Clock } from '../base/instant.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { describeSource, type LocalSource, type VaultSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import type { VaultLogin, VaultPlace } from '../base/vault-login.ts'
import { ask, type Answer, type Question } from './ask.ts'
import { Backoff } from './backoff.ts'
import { understood, VaultToken } from './token.ts'

export interface VaultParts {
  readonly place: Pick<VaultPlace, 'address' | 'namespace'>
  /** The CA certificates that are believed now. */
  readonly readCa: () => string
  readonly login: VaultLogin
  readonly readLocal: (source: LocalSource) => Promise<Secret>
  readonly clock: Clock
}

/** One secret of Vault, as it was the last time. */
interface Known {
  readonly backoff: Backoff
  value: Secret | undefined
  /** Since the config was taken over. */
  fresh: boolean
  failure: KeepwardError | undefined
  notBeforeMonoMs: number
  pending: Promise<Secret> | undefined
}

/** So many questions at once. */
const maxAsking = 2
const maxValueBytes = 4096

/**
 * Secrets of HashiCorp Vault or OpenBao. Each is read once, and again when the config is taken over: what somebody changes in Vault is not
 * applied by itself. While Vault cannot be had, what was read before stays good, and nobody waits for Vault but who asks first.
 */
export class Vault {
  readonly #parts: VaultParts
  readonly #token: VaultToken
  readonly #known = new Map<string, Known>()
  readonly #limit = pLimit(maxAsking)
  readonly #ends = new AbortController()
  readonly #backoff = new Backoff()
  #failure: KeepwardError | undefined
  #notBeforeMonoMs = 0
  #told: string | undefined
  /** How often it was told to forget. */
  #round = 0
  readonly #listeners: ((text: string | undefined) => void)[] = []
  readonly #loginListeners: ((source: LocalSource) => void)[] = []

  constructor(parts: VaultParts) {
    this.#parts = parts
    const { login, readLocal, clock } = parts
    this.#token = new VaultToken({
      login,
      readLocal: async (source) => {
        const secret = await readLocal(source)
        for (const told of this.#loginListeners) told(source)
        return secret
      },
      clock,
      ask: (question) => this.#ask(question),
      onNews: () => {
        this.#tell()
      },
    })
  }

  /**
   * A text that ends in one newline. Throws `secret-unavailable`, `vault-unavailable`, or what the source of the login throws, when it was
   * never read.
   */
  async read(source: VaultSource): Promise<Secret> {
    const known = this.#knownOf(source)
    if (known.value !== undefined && known.fresh) return known.value
    if (known.failure !== undefined && this.#parts.clock().monoMs < known.notBeforeMonoMs)
      return lastOf(known, known.failure)
    const pending = known.pending ?? this.#start(source, known)
    // Once it has failed, nobody waits for it who has the last value: the look at a router must not be late.
    return known.value !== undefined && known.failure !== undefined ? known.value : pending
  }

  /** As {@link read} after {@link forget} would give it, but that what is known stays known. */
  async readAhead(source: VaultSource): Promise<Secret> {
    try {
      return await this.#fetch(source)
    } catch (error) {
      if (error instanceof KeepwardError) return lastOf(this.#known.get(describeSource(source)), error)
      throw error
    }
  }

  /** What was read is asked for anew, at the next read. */
  forget(): void {
    this.#notBeforeMonoMs = 0
    this.#round += 1
    for (const known of this.#known.values()) {
      known.pending = undefined
      known.fresh = false
      known.failure = undefined
    }
    this.#tell()
  }

  /** Told when it changes: what is wanted of Vault cannot be had, and why; undefined: it can again. */
  onTrouble(listener: (text: string | undefined) => void): void {
    this.#listeners.push(listener)
  }

  /** Told each time when what it logs in with was read. */
  onLogin(listener: (source: LocalSource) => void): void {
    this.#loginListeners.push(listener)
  }

  close(): void {
    this.#token.close()
    this.#ends.abort()
  }

  #knownOf(source: VaultSource): Known {
    const key = describeSource(source)
    const found = this.#known.get(key)
    if (found !== undefined) return found
    const made = {
      backoff: new Backoff(),
      value: undefined,
      fresh: false,
      failure: undefined,
      notBeforeMonoMs: 0,
      pending: undefined,
    }
    this.#known.set(key, made)
    return made
  }

  #start(source: VaultSource, known: Known): Promise<Secret> {
    const pending = this.#renew(source, known).finally(() => {
      if (known.pending === pending) known.pending = undefined
    })
    known.pending = pending
    return pending
  }

  async #renew(source: VaultSource, known: Known): Promise<Secret> {
    const round = this.#round
    try {
      const value = await this.#fetch(source)
      // What was asked for before it was to be forgotten may be older than that.
      if (round === this.#round) Object.assign(known, { value, fresh: true, failure: undefined })
      known.backoff.reset()
      return value
    } catch (error) {
      const failure =
        error instanceof KeepwardError
          ? error
          : new KeepwardError('internal', 'Vault cannot be asked', { cause: error })
      known.failure = failure
      known.notBeforeMonoMs = this.#parts.clock().monoMs + known.backoff.next()
      return lastOf(known, failure)
    } finally {
      this.#tell()
    }
  }

  async #fetch(source: VaultSource): Promise<Secret> {
    const first = await this.#askFor(source)
    // The token may have ended before its time: it was revoked, or Vault has lost it.
    const { status, body } = first.status === 403 ? await this.#askFor(source) : first
    const where = describeSource(source)
    if (status === 200) return valueIn(understood(secretSchema, { status, body }).data.data, source)
    const hints = {
      403: 'give the role or the token a policy that lets it read',
      404: 'is the engine KV of version 2, and the newest version not deleted?',
    }
    const says = status === 404 ? 'has none there' : 'denies it'
    throw new KeepwardError('secret-unavailable', `There is no secret in ${where}: Vault ${says} (${status})`, {
      hint: status === 404 ? hints[404] : hints[403],
    })
  }

  async #askFor({ mount, path }: VaultSource): Promise<Answer> {
    const token = await this.#token.current()
    const answer = await this.#ask({ method: 'GET', path: `${mount}/data/${path}`, token })
    if (answer.status === 403) this.#token.refused(token)
    return answer
  }

  /** After a failure nobody asks for a while: who waits for Vault must not wait for its deadline each time. */
  #ask(question: Question): Promise<Answer> {
    return this.#limit(async () => {
      const { clock } = this.#parts
      if (this.#failure !== undefined && clock().monoMs < this.#notBeforeMonoMs) throw this.#failure
      try {
        const { place, readCa } = this.#parts
        const answer = await ask({ ...place, ca: readCa(), signal: this.#ends.signal }, question)
        this.#failure = undefined
        this.#backoff.reset()
        return answer
      } catch (error) {
        if (!(error instanceof KeepwardError)) throw error
        this.#failure = error
        this.#notBeforeMonoMs = clock().monoMs + this.#backoff.next()
        throw error
      }
    })
  }

  #tell(): void {
    const failing = [...this.#known].flatMap(([where, { failure }]) =>
      failure === undefined ? [] : [[where, failure] as const],
    )
    const [first] = failing
    const kept = failing.some(([where]) => this.#known.get(where)?.value !== undefined)
      ? '; what was read before stays in use'
      : ''
    const text = first === undefined ? this.#token.trouble : `${describeError(first[1])}${kept}`
    if (text === this.#told) return
    this.#told = text
    for (const listener of this.#listeners) listener(text)
  }
}

function lastOf(known: Known | undefined, failure: KeepwardError): Secret {
  if (known?.value !== undefined) return known.value
  throw failure
}

const secretSchema = z.object({ data: z.object({ data: z.record(z.string(), z.unknown()) }) })

function valueIn(fields: Readonly<Record<string, unknown>>, source: VaultSource): Secret {
  const value = Object.hasOwn(fields, source.field) ? fields[source.field] : undefined
  if (typeof value === 'string' && Buffer.byteLength(value) <= maxValueBytes) return Secret.line(value)
  const is = value === undefined ? 'it has no such field' : `the field is no text of at most ${maxValueBytes} bytes`
  throw new KeepwardError('secret-unavailable', `There is no secret in ${describeSource(source)}: ${is}`)
}
