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
  const key = clientCertificate && (await readSecret(clientCertificate.key))
  return {
    ca: caFile === undefined ? undefined : readFile(caFile),
    cert: clientCertificate && readFile(clientCertificate.file),
    key: key?.revealText(),
  }
}
