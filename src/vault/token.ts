import { z } from 'zod'
import type { Clock } from '../base/instant.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { describeSource, type LocalSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import type { Answer, Question } from './ask.ts'
import { Backoff } from './backoff.ts'
import type { VaultLogin } from '../base/vault-login.ts'

export interface VaultTokenParts {
  readonly login: VaultLogin
  readonly ask: (question: Question) => Promise<Answer>
  readonly readLocal: (source: LocalSource) => Promise<Secret>
  readonly clock: Clock
  /** What is wrong with it may have changed. */
  readonly onNews: () => void
}

/** A token, and how long it is good for. */
interface Lease {
  readonly token: Secret
  readonly renewable: boolean
  /** 0: for ever. */
  readonly ttlMs: number
}

/** So much of a lease passes before it is renewed: what is left is for tries that fail. */
const renewAfter = 2 / 3
const minPauseMs = 1000
/** A timer takes no longer ones. */
const maxPauseMs = 86_400_000

/**
 * The token that a process comes to Vault with. It is renewed before it ends; where that is not possible, or does not prolong it much, as
 * its longest life is near, there is another login: by AppRole, or with what the source of the token holds by then.
 */
export class VaultToken {
  readonly #parts: VaultTokenParts
  readonly #backoff = new Backoff()
  #lease: Lease | undefined
  #endsMonoMs = 0
  /** As long as it was when it began. */
  #wholeMs = 0
  #getting: Promise<Secret> | undefined
  #timer: NodeJS.Timeout | undefined
  #trouble: string | undefined
  #closed = false

  constructor(parts: VaultTokenParts) {
    this.#parts = parts
  }

  /** Why it could not be had or renewed the last time. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Logs in where there is none. Throws `vault-unavailable`, `secret-unavailable`, or what the source of the login throws. */
  current(): Promise<Secret> {
    const lease = this.#lease
    if (lease !== undefined && this.#parts.clock().monoMs < this.#endsMonoMs) return Promise.resolve(lease.token)
    return this.#begin()
  }

  /** Vault does not take this one any more. */
  refused(token: Secret): void {
    if (this.#lease?.token === token) this.#lease = undefined
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** One login at a time, whoever wants it. */
  #begin(): Promise<Secret> {
    this.#getting ??= this.#logIn().finally(() => {
      this.#getting = undefined
    })
    return this.#getting
  }

  async #logIn(): Promise<Secret> {
    try {
      const lease = await this.#askForLease()
      this.#wholeMs = lease.ttlMs
      this.#hold(lease)
      return lease.token
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  #hold(lease: Lease): void {
    this.#backoff.reset()
    this.#lease = lease
    this.#endsMonoMs = lease.ttlMs === 0 ? Infinity : this.#parts.clock().monoMs + lease.ttlMs
    this.#tell(undefined)
    clearTimeout(this.#timer)
    if (lease.ttlMs > 0) this.#maintainIn(lease.ttlMs * renewAfter)
  }

  #fail(error: unknown): void {
    this.#tell(describeError(error))
    this.#maintainIn(this.#backoff.next())
  }

  #tell(trouble: string | undefined): void {
    this.#trouble = trouble
    this.#parts.onNews()
  }

  #maintainIn(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    const pauseMs = Math.min(maxPauseMs, Math.max(minPauseMs, ms))
    this.#timer = setTimeout(() => {
      void this.#maintain()
    }, pauseMs).unref()
  }

  /** Failures are kept in `trouble`, and tried again. */
  async #maintain(): Promise<void> {
    const lease = this.#lease
    if (lease === undefined || !lease.renewable) {
      await this.#begin().catch(() => undefined)
      return
    }
    try {
      const renewed = await this.#renew(lease)
      if (renewed === undefined || renewed.ttlMs < this.#wholeMs / 2) await this.#begin().catch(() => undefined)
      else this.#hold(renewed)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Undefined when Vault refuses. */
  async #renew({ token }: Lease): Promise<Lease | undefined> {
    const answer = await this.#parts.ask({ method: 'POST', path: 'auth/token/renew-self', token, body: {} })
    if (answer.status !== 200) return undefined
    const { auth } = understood(authSchema, answer)
    return { token, renewable: auth.renewable, ttlMs: auth.lease_duration * 1000 }
  }

  async #askForLease(): Promise<Lease> {
    const { login, readLocal, ask } = this.#parts
    if (login.kind === 'token') {
      const token = await withoutNewline(readLocal, login.token)
      const answer = await ask({ method: 'GET', path: 'auth/token/lookup-self', token })
      if (answer.status !== 200) throw denied(`the token in ${describeSource(login.token)}`, answer)
      const { data } = understood(lookupSchema, answer)
      return { token, renewable: data.renewable, ttlMs: data.ttl * 1000 }
    }
    const { mount, roleId, secretId } = login
    const body = { role_id: roleId, secret_id: await withoutNewline(readLocal, secretId) }
    const answer = await ask({ method: 'POST', path: `auth/${mount}/login`, body })
    if (answer.status !== 200) throw denied(`role ${roleId} with the secret id in ${describeSource(secretId)}`, answer)
    const { auth } = understood(loginSchema, answer)
    return { token: new Secret(auth.client_token), renewable: auth.renewable, ttlMs: auth.lease_duration * 1000 }
  }
}

const seconds = z.number().min(0).max(1e9)
const authSchema = z.object({ auth: z.object({ lease_duration: seconds, renewable: z.boolean() }) })
const loginSchema = z.object({
  auth: z.object({
    client_token: z.string().regex(/^[\x21-\x7e]{1,4096}$/),
    lease_duration: seconds,
    renewable: z.boolean(),
  }),
})
const lookupSchema = z.object({ data: z.object({ ttl: seconds, renewable: z.boolean().default(false) }) })

/** Throws `vault-unavailable`, without a word of the answer. */
export function understood<T>(schema: z.ZodType<T>, { body }: Answer): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new KeepwardError('vault-unavailable', 'Vault says something that is not of its published form')
}

async function withoutNewline(read: VaultTokenParts['readLocal'], source: LocalSource): Promise<Secret> {
  const text = (await read(source)).revealText().replace(/\n$/, '')
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return new Secret(text)
  throw new KeepwardError('key-invalid', `What is in ${describeSource(source)} is no token or secret id of Vault`, {
    hint: 'it must be one line of printable characters, without blanks',
  })
}

const denied = (who: string, { status }: Answer): KeepwardError =>
  new KeepwardError('secret-unavailable', `Vault denies the login of ${who} (${status})`, {
    hint: 'is it of this Vault, not expired, and allowed from this address?',
  })
