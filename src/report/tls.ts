import type { NatsSettings, SinkTools } from './settings.ts'

/** What node:tls wants to know; what is undefined it takes from the system, or does without. */
export interface TlsFiles {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Read anew for each connection, so that renewed certificates are taken up. Throws what reading them throws. */
export async function readTlsFiles(
  { caFile, clientCertificate }: Pick<NatsSettings, 'caFile' | 'clientCertificate'>,
  { readFile, readSecret }: Pick<SinkTools, 'readFile' | 'readSecret'>,
): Promise<TlsFiles> {
  const [ca, cert, key] = await Promise.all([
    caFile === undefined ? undefined : readFile(caFile),
    clientCertificate && readFile(clientCertificate.file),
    clientCertificate && readSecret(clientCertificate.key),
  ])
  return { ca, cert, key: key?.revealText() }
}
