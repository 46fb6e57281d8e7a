import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { resolveAsNode } from '../linux/resolve.ts'

/** A Vault, and whom it is believed by. */
export interface Server {
  readonly address: string
  readonly namespace?: string | undefined
  /** CA certificates in PEM. */
  readonly ca: string
  /** Ends what is under way. */
  readonly signal: AbortSignal
}

export interface Question {
  readonly method: 'GET' | 'POST'
  /** Below /v1/. */
  readonly path: string
  readonly token?: Secret
  /** Sent as a map of JSON. */
  readonly body?: Readonly<Record<string, string | Secret>>
}

/** What Vault says to the question; `body` is JSON of any form, undefined where there is none. */
export interface Answer {
  readonly status: 200 | 204 | 400 | 403 | 404
  readonly body: unknown
}

const deadlineMs = 5000
const maxAnswerBytes = 1024 * 1024

/**
 * Ask once, over a connection of its own. Throws `vault-unavailable` when there is no answer: it is not reached or not believed within 5 s,
 * redirects, is sealed or overloaded, says more than 1 MiB or no JSON. No word of what it says is in an error.
 */
export async function ask(server: Server, question: Question): Promise<Answer> {
  const timeout = AbortSignal.timeout(deadlineMs)
  try {
    const response = await send(server, question, AbortSignal.any([timeout, server.signal]))
    return await answerIn(response)
  } catch (error) {
    const { says, hint } = error instanceof NoAnswer ? error : failure(error, timeout.aborted)
    throw new KeepwardError(
      codeOf(error, 'vault-unavailable'),
      `Vault at ${server.address} ${says}`,
      hint === undefined ? {} : { hint },
    )
  }
}

/** Why there is no answer, behind the name of the server. */
class NoAnswer extends Error {
  readonly says: string
  readonly hint: string | undefined

  constructor(says: string, hint?: string) {
    super(says)
    this.says = says
    this.hint = hint
  }
}

function send(server: Server, question: Question, signal: AbortSignal): Promise<IncomingMessage> {
  const { method, path, token, body } = question
  const content = body === undefined ? '' : JSON.stringify(revealed(body))
  const headers = {
    'x-vault-request': 'true',
    'content-length': Buffer.byteLength(content),
    ...(content === '' ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { 'x-vault-token': token.revealText() }),
    ...(server.namespace === undefined ? {} : { 'x-vault-namespace': server.namespace }),
  }
  // As a list: an empty text counts for node:tls as no CA given, and all that come with Node.js as believed.
  const trust = { ca: [server.ca], rejectUnauthorized: true, minVersion: 'TLSv1.2' as const }
  return new Promise((resolve, reject) => {
    const url = `${server.address}/v1/${path}`
    const asked = request(url, { method, headers, ...trust, agent: false, signal, lookup: resolveAsNode })
    asked.on('error', reject)
    asked.on('response', resolve)
    asked.end(content)
  })
}

const revealed = (body: NonNullable<Question['body']>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, typeof value === 'string' ? value : value.revealText()]),
  )

async function answerIn(response: IncomingMessage): Promise<Answer> {
  const { statusCode = 0 } = response
  switch (statusCode) {
    case 200:
    case 204:
    case 400:
    case 403:
    case 404:
      return { status: statusCode, body: parse(await textOf(response)) }
    default:
      response.destroy()
      throw noAnswer(statusCode)
  }
}

/** https://developer.hashicorp.com/vault/api-docs#http-status-codes */
function noAnswer(status: number): NoAnswer {
  if (status >= 300 && status < 400) {
    const hint = 'name the active node, or a balancer that leads there, in vault.address'
    return new NoAnswer(`redirects (${status}), which is not followed`, hint)
  }
  if (status === 429) return new NoAnswer('is asked too much (429)')
  if (status === 503) return new NoAnswer('is sealed or in maintenance (503)', 'unseal it')
  return new NoAnswer(`answers with status ${status}`)
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop ends the connection.
    if (bytes > maxAnswerBytes) throw new NoAnswer(`says more than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new NoAnswer('says something that is no JSON', 'is vault.address the address of a Vault?')
  }
}

/** By code alone: the words of an error of TLS repeat what the other side put into its certificate. */
function failure(error: unknown, isLate: boolean): NoAnswer {
  if (isLate) return new NoAnswer(`has not answered within ${deadlineMs / 1000} s`)
  const code = errnoOf(error) ?? 'broken off'
  const isDistrust = /CERT|SIGNATURE|ISSUER|SELF_SIGNED|CA_/.test(code)
  const hint =
    'vault.caFile must hold the CA of its certificate, which must be valid now and bear the name of vault.address'
  return isDistrust ? new NoAnswer(`is not believed: ${code}`, hint) : new NoAnswer(`cannot be reached: ${code}`)
}
