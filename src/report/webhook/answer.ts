/** What an answer, or that there was none, says of the report and of the endpoint. */
export type Verdict = 'delivered' | { readonly kind: 'refused'; readonly says: string } | Failure

/** It may be delivered another time. */
export interface Failure {
  readonly kind: 'unreachable' | 'not-ready'
  /** Behind the name of the endpoint. */
  readonly says: string
  readonly hint?: string
  /** What is likely wrong: the `settings`, whatever is sent; the `endpoint`; or this one `report`, as far as is known. */
  readonly suspect: 'settings' | 'endpoint' | 'report'
  /** It asks to be left alone for so long. */
  readonly pauseMs?: number
}

export const maxPauseMs = 60_000

/** Of RFC 9110, section 15; `retryAfter` as in 10.2.3. No word of the answer is in it but its status. */
export function verdictOn(status: number, retryAfter: string | undefined, nowMs: number): Verdict {
  if (status >= 200 && status < 300) return 'delivered'
  if (refusing.has(status)) return { kind: 'refused', says: `refuses it (${status})` }
  if (status >= 300 && status < 400)
    return notReady(`redirects (${status}), which is not followed`, 'name the address that it leads to as the url')
  const known = misplaced.get(status)
  if (known !== undefined) return notReady(`answers with status ${status}`, known)
  if (status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429)
    return { kind: 'not-ready', says: `answers with status ${status}`, suspect: 'report' }
  const pauseMs = pauseIn(retryAfter, nowMs)
  const says = status === 429 ? 'is told too much (429)' : `answers with status ${status}`
  return { kind: 'unreachable', says, suspect: 'report', ...(pauseMs === undefined ? {} : { pauseMs }) }
}

/** The same report would meet the same answer. 410: the endpoint wants to hear no more (Standard Webhooks). */
const refusing: ReadonlySet<number> = new Set([400, 410, 413, 415, 422])

const misplaced: ReadonlyMap<number, string> = new Map([
  [401, 'does it have the same secret?'],
  [404, 'is the path of the url right?'],
  [405, 'does it take POST at this path?'],
  [407, 'a proxy stands in front of it'],
  [421, 'is the host of the url right?'],
])

const notReady = (says: string, hint: string): Failure => ({ kind: 'not-ready', says, hint, suspect: 'settings' })

/** Seconds, or a date. */
function pauseIn(retryAfter: string | undefined, nowMs: number): number | undefined {
  if (retryAfter === undefined) return undefined
  const pauseMs = /^[0-9]{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - nowMs
  return pauseMs > 0 ? Math.min(maxPauseMs, pauseMs) : undefined
}

/** Nothing is sent to that address. */
export class AddressRefused extends Error {}

/** What came is not of HTTP, or of no end. */
export class NoHttp extends Error {}

/**
 * Of an error of node:https, by its code alone: the words of one of TLS repeat what the other side put into its certificate. `wasReached`:
 * it was believed before, and had the request.
 */
export function noAnswer(error: unknown, code: string | undefined, wasReached: boolean): Failure {
  if (error instanceof AddressRefused)
    return notReady(`is not sent to: ${error.message}`, 'if it is right, name its network under allowNetworks')
  const says = code ?? 'broken off'
  if (/ALERT/.test(says)) return notReady(`does not believe us: ${says}`, 'does it want another client certificate?')
  if (/CERT|SIGNATURE|ISSUER|SELF_SIGNED|CA_|ALTNAME/.test(says))
    return notReady(
      `is not believed: ${says}`,
      'caFile must hold the CA of its certificate, which must be valid now and bear the host of the url',
    )
  if (/^ERR_(?:SSL|OSSL|TLS)/.test(says)) return notReady(`does not speak TLS with us: ${says}`, 'is the port right?')
  if (error instanceof NoHttp || says.startsWith('HPE_')) {
    const what = error instanceof NoHttp ? error.message : says
    return { kind: 'unreachable', says: `does not speak HTTP as it should: ${what}`, suspect: 'report' }
  }
  return { kind: 'unreachable', says: `cannot be reached: ${says}`, suspect: wasReached ? 'report' : 'endpoint' }
}

export const tooLate = (deadlineMs: number): Failure => ({
  kind: 'unreachable',
  says: `has not answered within ${deadlineMs / 1000} s`,
  suspect: 'report',
})
