import { createHash } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { errnoOf, KeepwardError } from '../base/error.ts'
import type { NatsSettings, SinkTools } from './settings.ts'

/** In PEM. */
export interface TlsTexts {
  /** Undefined: the host's own. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

type TlsSettings = Pick<NatsSettings, 'caFile' | 'clientCertificate'>
type Reading = Pick<SinkTools, 'readFile' | 'readSecret'>

/**
 * What a sink speaks TLS with. Its files are read anew each time, so that renewed certificates are taken up; what is made of them, or
 * that they are of no use, stays as long as they do, since some hundred certificates hold up the event loop for 10 ms and more.
 */
export class TlsFiles {
  readonly #settings: TlsSettings
  readonly #tools: Reading
  #made: { readonly digest: string; readonly context: Promise<SecureContext> } | undefined

  constructor(settings: TlsSettings, tools: Reading) {
    this.#settings = settings
    this.#tools = tools
  }

  /** Throws what reading them throws, and `sink-unavailable` when they are of no use. */
  async read(): Promise<SecureContext> {
    const { caFile, clientCertificate } = this.#settings
    const { readFile, readSecret } = this.#tools
    const key = clientCertificate && (await readSecret(clientCertificate.key))
    const texts = {
      ca: caFile === undefined ? undefined : readFile(caFile),
      cert: clientCertificate && readFile(clientCertificate.file),
      key: key?.revealText(),
    }
    const digest = createHash('sha256').update(JSON.stringify(texts)).digest('hex')
    if (this.#made?.digest !== digest) this.#made = { digest, context: Promise.resolve(texts).then(contextOf) }
    return this.#made.context
  }
}

const certificate = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/

/** TLS 1.2 at least. Throws `sink-unavailable` by code alone: what stands in the file of a key is in no text. */
export function contextOf({ ca, cert, key }: TlsTexts): SecureContext {
  try {
    // What is empty counts for node:tls as not given: it would believe every CA that comes with Node.js, or go without a client certificate.
    if ((ca !== undefined && !certificate.test(ca)) || cert === '' || key === '') throw new Error('no PEM')
    return createSecureContext({
      minVersion: 'TLSv1.2',
      // Those that come with Node.js are not those that the operator of the host trusts.
      ca: ca ?? getCACertificates('system'),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
  } catch (error) {
    const why = errnoOf(error) ?? 'no PEM'
    throw new KeepwardError('sink-unavailable', `caFile or clientCertificate is of no use: ${why}`)
  }
}
