import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeError } from '../../src/base/error.ts'
import { Secret } from '../../src/base/secret.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, natsTools, watchedSink } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'
import { makeCertificates } from '../support/vault-server.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-nats-certs-'))
const at = (name: string) => join(directory, name)
const tls = () =>
  `tls { cert_file: "${at('server.pem')}", key_file: "${at('server.key')}", ca_file: "${at('ca.pem')}", verify: true }`

beforeAll(() => {
  makeCertificates(directory)
  mkdirSync(at('other'))
  makeCertificates(at('other'))
  makeClient('.')
  makeClient('other')
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** client.pem and client.key, of the CA in there. */
function makeClient(place: string): void {
  const run = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe', cwd: join(directory, place) })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'client.key']
  run('req', ...key, '-out', 'client.csr', '-subj', '/CN=host1')
  run(...'x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 2'.split(' '))
}

const setup = (server: NatsServer, ...words: string[]) =>
  new Promise<readonly [number, string]>((resolve) => {
    const entry = join(import.meta.dirname, '..', '..', 'src', 'cmd', 'keepward.ts')
    const url = `tls://127.0.0.1:${String(server.port)}`
    const all = [entry, 'nats', 'setup', '--server', url, '--ca', at('ca.pem'), ...words]
    execFile(process.execPath, all, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout + stderr])
    })
  })

test('a server that wants a client certificate has one of the sink and of keepward nats setup, and none of a stranger', async () => {
  await using server = await NatsServer.start(tls())
  const certificate = (place: string) => ['--cert', at(`${place}/client.pem`), '--key', at(`${place}/client.key`)]
  expect((await setup(server))[0]).not.toBe(0)
  expect((await setup(server, ...certificate('other')))[0]).not.toBe(0)
  expect(await setup(server, '--cert', at('client.pem'))).toEqual([
    expect.any(Number),
    expect.stringContaining('--cert and --key are wanted together'),
  ])
  expect((await setup(server, ...certificate('.')))[0]).toBe(0)

  const trouble = async (place: string | undefined) => {
    const files = { file: at(`${place ?? '.'}/client.pem`), key: { kind: 'file', path: '/key' } } as const
    await using watched = watchedSink(
      natsSettings([`tls://127.0.0.1:${String(server.port)}`], {
        ...{ plaintext: false, caFile: at('ca.pem'), clientCertificate: place === undefined ? undefined : files },
      }),
      natsTools({
        readFile: (path) => readFileSync(path, 'utf8'),
        readSecret: () => Promise.resolve(new Secret(readFileSync(at(`${place ?? '.'}/client.key`)))),
      }),
    )
    const said = await until('it says how it is', () =>
      watched.state.trouble?.text === 'not connected yet' ? undefined : { trouble: watched.state.trouble },
    )
    return said.trouble?.kind
  }
  expect([await trouble('.'), await trouble('other'), await trouble(undefined)]).toEqual([
    undefined,
    'unreachable',
    'unreachable',
  ])
})

test.each([
  'tls://keepward:pl4nted@127.0.0.1:4222',
  'nats://pl4nted@127.0.0.1:4222',
  'https://127.0.0.1/pl4nted',
  'keepward:pl4nted@127.0.0.1',
  'tls:pl4nted',
  'tls://keepward:pl4n/ted@127.0.0.1:4222',
])('the address %s is refused and not repeated', async (server) => {
  const refused = connectAs(server).catch(describeError)
  expect(await refused).toBe(
    'The address of a NATS server must be tls:// or nats:// with a host and a port, and without a user',
  )
})

test('a server of tls:// is not spoken to in the clear, whatever it offers and whoever asks', async () => {
  await using server = await NatsServer.start()
  const url = server.url.replace('nats:', 'tls:')
  expect(await connectAs(url).catch(describeError)).toBe(`${url} has nothing to speak TLS with`)
})

test('keepward nats setup takes credentials of nsc', async () => {
  const [operator, system, account, user] = [createOperator(), createAccount(), createAccount(), createUser()]
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const stored = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const jwts = [system, account].map((one) =>
    jwt(operator, one, { type: 'account', limits: { ...limits, ...(one === account ? stored : {}) } }),
  )
  const [ofSystem = '', ofAccount = ''] = jwts
  await using server = await NatsServer.start(
    [
      tls(),
      `operator: ${jwt(operator, operator, { type: 'operator' })}`,
      `system_account: ${system.getPublicKey()}`,
      'resolver: MEMORY',
      `resolver_preload: { ${system.getPublicKey()}: ${ofSystem}, ${account.getPublicKey()}: ${ofAccount} }`,
    ].join('\n'),
  )
  const ofUser = jwt(account, user, { type: 'user', subs: -1, data: -1, payload: -1 })
  const seed = Buffer.from(user.getSeed()).toString()
  const part = (name: string, text: string) => `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`
  writeFileSync(at('operator.creds'), part('NATS USER JWT', ofUser) + part('USER NKEY SEED', seed), { mode: 0o600 })
  writeFileSync(at('empty.creds'), 'nothing', { mode: 0o600 })
  const certificate = ['--cert', at('client.pem'), '--key', at('client.key')]
  expect(await setup(server, ...certificate, '--creds', at('operator.creds'))).toEqual([
    0,
    expect.stringMatching(/KEEPWARD_EVENTS +1 +created/),
  ])
  const [status, text] = await setup(server, ...certificate, '--creds', at('empty.creds'))
  expect([status === 0, text]).toEqual([false, expect.stringContaining('The file of credentials holds none')])
})

/** As nsc signs it (NATS ADR-14). */
function jwt(issuer: KeyPair, subject: KeyPair, nats: Readonly<Record<string, unknown>>): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    ...{ jti: 'test', iat: 1_700_000_000, iss: issuer.getPublicKey(), name: 'test', sub: subject.getPublicKey() },
    nats: { ...nats, version: 2 },
  }
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`
}
