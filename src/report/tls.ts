import { getCACertificates, type SecureContextOptions } from 'node:tls'
import type { NatsSettings, SinkTools } from './settings.ts'

/** What node:tls wants to know. */
export interface TlsFiles {
  readonly ca: string | string[] | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Read anew for each connection, so that renewed certificates are taken up. Throws what reading them throws. */
export async function readTlsFiles(
  { caFile, clientCertificate }: Pick<NatsSettings, 'caFile' | 'clientCertificate'>,
  { readFile, readSecret }: Pick<SinkTools, 'readFile' | 'readSecret'>,
): Promise<TlsFiles> {
  const key = clientCertificate && (await readSecret(clientCertificate.key))
  return {
    ca: caFile === undefined ? systemCertificates() : readFile(caFile),
    cert: clientCertificate && readFile(clientCertificate.file),
    key: key?.revealText(),
  }
}

/** Of a way without TLS. */
export const noTlsFiles: TlsFiles = { ca: undefined, cert: undefined, key: undefined }

/** Those that come with Node.js are not those that the operator of the host trusts. */
export const systemCertificates = (): string[] => getCACertificates('system')

/** What is undefined is left to node:tls. */
export const definedOf = ({ ca, cert, key }: TlsFiles): Pick<SecureContextOptions, keyof TlsFiles> => ({
  ...(ca === undefined ? {} : { ca }),
  ...(cert === undefined ? {} : { cert }),
  ...(key === undefined ? {} : { key }),
})
