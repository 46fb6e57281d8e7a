import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Secret } from '../base/secret.ts'
import { bootTimeNs } from '../linux/boot-clock.ts'
import { bootId } from '../linux/process.ts'
import type { Role } from '../router/role.ts'
import type { RouterId } from '../router/spec.ts'
import { maxSkewMs } from './freshness.ts'
import { proofHeaders, sign, type Proof } from './signature.ts'

/** What a native sender tells, and to whom. */
export interface Notice {
  readonly router: RouterId
  readonly state: Role
  /** Path of the state-change socket. */
  readonly socket: string
  readonly key: { readonly id: string; readonly secret: Secret }
  /** Seconds until the sender's next message, when it repeats itself. */
  readonly intervalS: number | undefined
  /** At most {@link maxDeadlineMs}. */
  readonly deadlineMs: number
}

/** How it ended; `code` and `reason` are fit for a terminal. */
export type Outcome =
  | { readonly kind: 'delivered' }
  /** The server took a newer message of this router, or this one in an earlier try. */
  | { readonly kind: 'superseded' }
  /** The server's problem code, or `HTTP 403`. Another try would end the same. */
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'undelivered'; readonly reason: string }

const tryTimeoutMs = 5000

/** The server takes an older message for superseded, which must not be said of one that nobody took. */
export const maxDeadlineMs = maxSkewMs - tryTimeoutMs

/**
 * Send until the server acknowledges, refuses, or the deadline passes. All tries bear one sequence: when the answer to a
 * message that was taken is lost, the next try is superseded by it and not taken twice.
 */
export async function notify(notice: Notice): Promise<Outcome> {
  const sequence = bootTimeNs()
  const boot = bootId()
  const end = performance.now() + notice.deadlineMs
  for (let tries = 1; ; tries++) {
    const request = requestText(notice.key.secret, { ...proofOf(notice), sequence, boot, sentMs: Date.now() })
    const verdict = judge(await exchange(notice.socket, request, Math.min(tryTimeoutMs, end - performance.now())))
    if (verdict.kind !== 'again') return verdict
    const leftMs = Math.max(0, end - performance.now())
    await wait(Math.min(leftMs, pauseMs(tries, verdict.retryAfterMs, Math.random())))
    // Timers are up to a millisecond early; a try needs more than that.
    if (end - performance.now() < 2) return { kind: 'undelivered', reason: verdict.reason }
  }
}

/** What came back, up to where it was read; `trouble` says why it ended early, if it did. */
export interface Answer {
  readonly text: string
  readonly trouble: string | undefined
}

export type Verdict = Outcome | { readonly kind: 'again'; readonly reason: string; readonly retryAfterMs: number }

/**
 * What an answer means. A parser would refuse the answers of some of Neutron's servers, whose lines end with a newline
 * alone and whose header block does not end: the status and one header are all that is needed.
 */
export function judge({ text, trouble }: Answer): Verdict {
  const status = Number(statusForm.exec(text)?.[1])
  if (Number.isNaN(status))
    return again(trouble ?? (text === '' ? 'closed without an answer' : 'not an answer in HTTP'))
  if (status === 200) return { kind: 'delivered' }
  if (status === 409) return { kind: 'superseded' }
  const [head = '', body = ''] = text.split(/\r?\n\r?\n/, 2)
  const code = problemCode(body) ?? `HTTP ${String(status)}`
  // 408: our request came too slowly, on a host that has no time for us.
  if (status === 408 || status === 429 || status >= 500)
    return again(code, Number(retryAfterForm.exec(head)?.[1] ?? 0) * 1000)
  return { kind: 'refused', code }
}

/**
 * How long to wait after so many tries: full jitter under a cap that doubles, so that senders that failed together do
 * not come back together. What the server asks for comes first, up to a bound. `random` is from 0 to 1.
 */
export function pauseMs(tries: number, retryAfterMs: number, random: number): number {
  return Math.min(retryAfterMs, maxRetryAfterMs) + random * Math.min(maxPauseMs, firstPauseMs * 2 ** (tries - 1))
}

const maxRetryAfterMs = 10_000
const firstPauseMs = 50
const maxPauseMs = 2000
/** An answer of ours has less than 1 KiB. */
const maxAnswerLength = 8192

const statusForm = /^HTTP\/1\.[01] ([1-5][0-9]{2})(?![0-9])/
const retryAfterForm = /^retry-after:[ \t]*([0-9]{1,9})[ \t]*$/im
const codeForm = /^[a-z][a-z0-9-]{0,63}$/
/** Nothing that follows changes what these mean. */
const successForm = /^HTTP\/1\.[01] (200|409)[ \r\n]/

const proofOf = ({ router, state, key, intervalS }: Notice) => ({ router, state, key: key.id, intervalS })

function requestText(secret: Secret, proof: Proof): string {
  const { router, state, sequence, boot, sentMs, key, intervalS } = proof
  return [
    'POST / HTTP/1.1',
    'Host: 127.0.0.1',
    `X-Neutron-Router-Id: ${router}`,
    `X-Neutron-State: ${state}`,
    `${proofHeaders.sequence}: ${String(sequence)}`,
    `${proofHeaders.boot}: ${boot}`,
    `${proofHeaders.time}: ${String(sentMs)}`,
    `${proofHeaders.key}: ${key}`,
    ...(intervalS === undefined ? [] : [`${proofHeaders.interval}: ${String(intervalS)}`]),
    `${proofHeaders.signature}: ${sign(secret, proof)}`,
    'Content-Length: 0',
    'Connection: close',
    '\r\n',
  ].join('\r\n')
}

/** One connection, one request. node:net alone: loading node:http takes as much CPU as all the rest of a call. */
function exchange(path: string, request: string, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    let text = ''
    const finish = (trouble?: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, trouble })
    }
    const timer = setTimeout(finish, timeoutMs, `no answer for ${(timeoutMs / 1000).toFixed(1)} s`)
    const socket = connect({ path })
      .setEncoding('latin1')
      .on('data', (chunk: string) => {
        text += chunk
        if (successForm.test(text) || text.length > maxAnswerLength) finish()
      })
      .on('error', ({ message }) => {
        finish(message)
      })
      .on('close', () => {
        finish()
      })
    socket.write(request)
  })
}

const again = (reason: string, retryAfterMs = 0): Verdict => ({ kind: 'again', reason, retryAfterMs })

/** `code` of problem details (RFC 9457); undefined for everything else. */
function problemCode(body: string): string | undefined {
  try {
    const problem = JSON.parse(body) as unknown
    const code: unknown =
      typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : undefined
    return typeof code === 'string' && codeForm.test(code) ? code : undefined
  } catch {
    return undefined
  }
}
