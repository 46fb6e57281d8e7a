import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Make ca.pem, server.pem and server.key for these names (`DNS:one`, `IP:127.0.0.1`) in a directory, by openssl(1). */
export function makeCertificates(directory: string, names: readonly string[]): void {
  const at = (name: string) => join(directory, name)
  const openssl = (...words: readonly string[]) => execFileSync('openssl', words, { stdio: 'pipe', timeout: 20_000 })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  )
  openssl('req', ...newKey, '-subj', '/CN=server', '-keyout', at('server.key'), '-out', at('server.csr'))
  writeFileSync(at('names'), `subjectAltName=${names.join(',')}\n`)
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')]
  openssl('x509', '-req', '-in', at('server.csr'), '-days', '2', ...signed, '-out', at('server.pem'))
}
