import type { IncomingMessage } from 'node:http'
import { request, type Agent } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { TLSSocket, type SecureContext } from 'node:tls'
import { errnoOf } from '../../base/error.ts'
import { resolveAll } from '../../linux/resolve.ts'
import type { WebhookSettings } from '../settings.ts'
import { refusalOf } from './address-policy.ts'
import { AddressRefused, noAnswer, NoHttp, verdictOn, type Verdict } from './answer.ts'

export interface Post {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly secureContext: SecureContext
  readonly allowNetworks: WebhookSettings['allowNetworks']
  readonly signal: AbortSignal
}

const maxHeaderBytes = 16_384
/** 100 to 199: any number may come before the answer (RFC 9110, 15.2). */
const maxInterim = 16
const maxAnswerBytes = 65_536
const maxAnswerMs = 1000

/** Send it once, over a connection that `agent` has or makes, to no address but an allowed one. Throws when `signal` aborts. */
export async function post(one: Post, agent: Agent): Promise<Verdict> {
  const { url, allowNetworks } = one
  // An address in the url is not looked up. The URL parser gives each spelling of one the same form.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const refusal = isIP(host) === 0 ? undefined : refusalOf(host, allowNetworks)
  if (refusal !== undefined) return noAnswer(new AddressRefused(`${host}: ${refusal}`), undefined, false)
  let tried = await attempt(one, agent)
  // The endpoint closed a connection that had been left open, perhaps as it was used again: it says nothing of the endpoint.
  if (tried === 'stale') tried = await attempt(one, false)
  return tried === 'stale' ? noAnswer(undefined, undefined, true) : tried
}

async function attempt(one: Post, agent: Agent | false): Promise<Verdict | 'stale'> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const { url, headers, body, secureContext, allowNetworks, signal } = one
  const asked = request(url, {
    ...{ method: 'POST', headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
    ...{ secureContext, rejectUnauthorized: true },
    ...{ agent, signal, lookup: lookupAmong(allowNetworks), maxHeaderSize: maxHeaderBytes },
  })
  let interim = 0
  asked.on('information', () => {
    if ((interim += 1) > maxInterim) asked.destroy(new NoHttp('interim answers without end'))
  })
  asked.on('error', reject)
  asked.on('response', resolve)
  // An answer that takes the connection over for another protocol ends in no error.
  asked.on('close', () => {
    reject(new NoHttp('it ended without an answer'))
  })
  asked.end(body)
  try {
    const response = await promise
    const verdict = verdictOn(response.statusCode ?? 0, response.headers['retry-after'], Date.now())
    await discard(response)
    return verdict
  } catch (error) {
    signal.throwIfAborted()
    const code = errnoOf(error)
    if (asked.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')) return 'stale'
    return noAnswer(error, code, asked.socket instanceof TLSSocket && asked.socket.authorized)
  }
}

/** It has said all that counts. A connection that is not through soon is ended, one that is may be used again. */
async function discard(response: IncomingMessage): Promise<void> {
  const late = setTimeout(() => response.destroy(), maxAnswerMs)
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      // Leaving the loop ends the connection.
      if (bytes > maxAnswerBytes) break
    }
  } catch {
    // Broken off, by whichever side.
  } finally {
    clearTimeout(late)
  }
}

/**
 * What is looked at is what is connected to, so that a name that changes in between leads nowhere else. One address that may not be sent to is
 * enough: a name that has it is not what it should be.
 */
const lookupAmong =
  (allowed: Post['allowNetworks']): LookupFunction =>
  (hostname, options, done) => {
    resolveAll(hostname, options).then(
      (all) => {
        const [first] = all
        const refused = all.find(({ address }) => refusalOf(address, allowed) !== undefined)
        if (refused !== undefined)
          done(new AddressRefused(`${refused.address}: ${refusalOf(refused.address, allowed) ?? ''}`), [])
        else if (options.all === true || first === undefined) done(null, [...all])
        else done(null, first.address, first.family)
      },
      (error: unknown) => {
        done(error instanceof Error ? error : new Error('no address'), [])
      },
    )
  }
