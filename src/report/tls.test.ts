import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeCertificates } from '../../test/support/vault-server.ts'
import { Secret } from '../base/secret.ts'
import { contextOf, TlsFiles } from './tls.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-tls-'))
beforeAll(() => {
  makeCertificates(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})
const text = (name: string): string => readFileSync(join(directory, name), 'utf8')

const filesWith = (read: Record<string, string>) =>
  new TlsFiles(
    { caFile: 'ca', clientCertificate: { file: 'cert', key: { kind: 'file', path: 'key' } } },
    { readFile: (path) => read[path] ?? '', readSecret: () => Promise.resolve(new Secret(read['key'] ?? '')) },
  )

test('TlsFiles.read() makes nothing anew as long as the files are the same', async () => {
  const read = { ca: text('ca.pem'), cert: text('server.pem'), key: text('server.key') }
  const files = filesWith(read)
  const first = await files.read()
  expect(await files.read()).toBe(first)
  read.ca += '\n'
  const second = await files.read()
  expect(second).not.toBe(first)
  expect(await files.read()).toBe(second)
})

test('TlsFiles.read() says by code alone that a key is of no use, and goes on with the next one', async () => {
  const read = { ca: text('ca.pem'), cert: text('server.pem'), key: 'pl4nted' }
  const files = filesWith(read)
  await expect(files.read()).rejects.toThrow(/^caFile or clientCertificate is of no use: [A-Z_0-9]+$/)
  const failure = () => files.read().catch((error: unknown) => error)
  expect(await failure()).toBe(await failure())
  read.key = text('server.key')
  await expect(files.read()).resolves.toBeDefined()
})

test('contextOf() takes the certificates of the host where no others are given', () => {
  expect(contextOf({ ca: undefined, cert: undefined, key: undefined })).toBeDefined()
})

test.each([
  ['an empty caFile', { ca: '' }],
  ['a caFile without a certificate', { ca: '-----BEGIN CERTIFICATE\n' }],
  ['an empty certificate', { cert: '' }],
  ['an empty key', { key: '' }],
])('contextOf() does not count %s as none given', (_name, change) => {
  const texts = { ca: text('ca.pem'), cert: text('server.pem'), key: text('server.key') }
  expect(contextOf(texts)).toBeDefined()
  expect(() => contextOf({ ...texts, ...change })).toThrow('caFile or clientCertificate is of no use: no PEM')
})
