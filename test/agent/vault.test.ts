import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../support/until.ts'
import { makeCertificates, VaultServer, type Fault } from '../support/vault-server.ts'
import { describeError } from '../../src/base/error.ts'
import type { LocalSource, VaultSource } from '../../src/base/secret-source.ts'
import { Secret } from '../../src/base/secret.ts'
import type { VaultLogin } from '../../src/base/vault-login.ts'
import { Vault, type VaultParts } from '../../src/vault/vault.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-vault-'))
let server: VaultServer
let open: Vault[] = []
/** What the sources of a login hold. */
const held = new Map<string, string>()
/** Milliseconds that the clock is ahead. */
let ahead = 0
let troubles: (string | undefined)[] = []
let logins: LocalSource[] = []

beforeAll(() => {
  makeCertificates(directory)
  mkdirSync(join(directory, 'other'))
  makeCertificates(join(directory, 'other'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})
beforeEach(async () => {
  server = await VaultServer.start(directory)
  server.secrets.set('secret/keepward/r1', { password: 'pl4nted', other: 7 })
  ahead = 0
  troubles = []
  logins = []
})
afterEach(async () => {
  for (const vault of open) vault.close()
  open = []
  await server.close()
})

const source: VaultSource = { kind: 'vault', mount: 'secret', path: 'keepward/r1', field: 'password' }
const ca = (...where: string[]) => readFileSync(join(directory, ...where, 'ca.pem'), 'utf8')

const from = (name: string, text: string): LocalSource => {
  held.set(name, text)
  return { kind: 'credential', name }
}
const withToken = (token: string): VaultLogin => ({ kind: 'token', token: from('token', `${token}\n`) })
const withRole = ({ roleId, secretId }: { roleId: string; secretId: string }): VaultLogin => ({
  ...{ kind: 'app-role', mount: 'approle', roleId },
  secretId: from('secret-id', secretId),
})

function vaultWith(login: VaultLogin, change: Partial<VaultParts> = {}): Vault {
  const vault = new Vault({
    place: { address: server.address },
    readCa: () => ca(),
    login,
    readLocal: (local) => Promise.resolve(new Secret(held.get(local.kind === 'credential' ? local.name : '') ?? '')),
    clock: () => ({ wallMs: Date.now(), monoMs: performance.now() + ahead }),
    ...change,
  })
  vault.onTrouble((text) => troubles.push(text))
  vault.onLogin((source) => logins.push(source))
  open.push(vault)
  return vault
}

const text = async (vault: Vault, what = source) => (await vault.read(what)).revealText()
const refusal = (vault: Vault, what = source): Promise<unknown> => vault.read(what).catch((error: unknown) => error)

describe('read()', () => {
  test.each([
    ['a token', () => withToken(server.issue())],
    ['a token that never ends', () => withToken(server.issue({ ttlS: 0, renewable: false }))],
    ['AppRole', () => withRole(server.addRole())],
  ])('gives a field with %s, and asks once until it is told to forget', async (_what, login) => {
    const vault = vaultWith(login(), { place: { address: server.address, namespace: 'net' } })
    expect(await Promise.all([text(vault), text(vault)])).toEqual(['pl4nted\n', 'pl4nted\n'])
    server.secrets.set('secret/keepward/r1', { password: 'another' })
    expect([await text(vault), server.times('secret/data/keepward/r1')]).toEqual(['pl4nted\n', 1])
    vault.forget()
    expect([await text(vault), server.times('secret/data/keepward/r1')]).toEqual(['another\n', 2])
    expect(new Set(server.asked.map(({ namespace }) => namespace))).toEqual(new Set(['net']))
    expect(troubles).toEqual([])
  })

  test('readAhead() gives what Vault has by now, or the last when it is lost, and read() what it gave before', async () => {
    const vault = vaultWith(withToken(server.issue()))
    await text(vault)
    server.secrets.set('secret/keepward/r1', { password: 'another' })
    expect((await vault.readAhead(source)).revealText()).toBe('another\n')
    expect(await text(vault)).toBe('pl4nted\n')
    server.fault = { kind: 'status', status: 503 }
    expect((await vault.readAhead(source)).revealText()).toBe('pl4nted\n')
    expect(troubles).toEqual([])
  })

  test('gives nothing that was asked for before it was told to forget', async () => {
    const vault = vaultWith(withToken(server.issue()))
    await text(vault)
    vault.forget()
    const release = Promise.withResolvers<undefined>()
    server.held = release.promise
    const before = text(vault)
    await until('it is asked', () => server.times('secret/data/keepward/r1') === 2)
    server.secrets.set('secret/keepward/r1', { password: 'another' })
    vault.forget()
    const after = text(vault)
    release.resolve(undefined)
    expect(await Promise.all([before, after])).toEqual(['pl4nted\n', 'another\n'])
    expect(await text(vault)).toBe('another\n')
  })

  test('logs in anew when Vault takes the token no more', async () => {
    const vault = vaultWith(withRole(server.addRole()))
    await text(vault)
    server.revokeAll()
    vault.forget()
    expect(await text(vault)).toBe('pl4nted\n')
    expect(server.times('auth/approle/login')).toBe(2)
    expect(logins).toEqual(Array(2).fill({ kind: 'credential', name: 'secret-id' }))
  })

  test('takes the token that was put into the place of one that ended', async () => {
    const vault = vaultWith(withToken(server.issue({ ttlS: 1, renewable: false })))
    await text(vault)
    held.set('token', server.issue())
    ahead = 1500
    vault.forget()
    expect(await text(vault)).toBe('pl4nted\n')
  })
})

test.each<readonly [when: string, path: Partial<VaultSource>, login: () => VaultLogin, says: string]>([
  [
    'there is no such path',
    { path: 'x' },
    () => withToken(server.issue()),
    'secret/x#password of Vault: Vault has none there (404)',
  ],
  ['it was deleted', { path: 'gone' }, () => withToken(server.issue()), 'Vault has none there (404)'],
  ['there is no such field', { field: 'x' }, () => withToken(server.issue()), 'it has no such field'],
  [
    'the field is no text',
    { field: 'other' },
    () => withToken(server.issue()),
    'the field is no text of at most 4096 bytes',
  ],
  ['a policy denies it', {}, () => withToken(server.issue({ mayRead: false })), 'Vault denies it (403)'],
  [
    'the token is unknown',
    {},
    () => withToken('hvs.wrong'),
    'Vault denies the login of the token in the credential token (403)',
  ],
  [
    'the secret id is wrong',
    {},
    () => withRole({ ...server.addRole(), secretId: 'wr0ng' }),
    'the secret id in the credential secret-id (400)',
  ],
  ['the token is no token', {}, () => withToken('a b'), 'What is in the credential token is no token or secret id'],
])('read() says why when %s, without a secret', async (_when, path, login, says) => {
  server.secrets.set('secret/gone', null)
  const vault = vaultWith(login())
  const said = describeError(await refusal(vault, { ...source, ...path }))
  expect(said).toContain(says)
  expect(said).not.toMatch(/pl4nted|hvs\.|wr0ng|permission denied|invalid role/)
  expect(troubles.at(-1)).toContain(says)
})

const faults: readonly (readonly [when: string, fault: Fault | 'sealed', says: string])[] = [
  ['is sealed', 'sealed', 'is sealed or in maintenance (503) (unseal it)'],
  ['is asked too much', { kind: 'status', status: 429 }, 'is asked too much (429)'],
  ['has a defect', { kind: 'status', status: 500 }, 'answers with status 500'],
  ['cannot reach its store', { kind: 'status', status: 502 }, 'answers with status 502'],
  [
    'redirects',
    { kind: 'status', status: 307, headers: { location: 'https://192.0.2.1/' } },
    'redirects (307), which is not followed',
  ],
  ['says no JSON', { kind: 'says', text: '<html>hvs.x' }, 'says something that is no JSON'],
  ['says other JSON', { kind: 'says', text: '{"data":[]}' }, 'says something that is not of its published form'],
  ['says too much', { kind: 'endless' }, 'says more than 1048576 bytes'],
  ['hangs up', { kind: 'hangs-up' }, 'cannot be reached: ECONNRESET'],
  ['says nothing', { kind: 'silent' }, 'has not answered within 5 s'],
]

test.each(faults)(
  'read() keeps the last value when Vault %s, says so, and tries again later',
  async (_when, fault, says) => {
    const vault = vaultWith(withToken(server.issue()))
    await text(vault)
    server.fault = fault === 'sealed' ? undefined : fault
    server.sealed = fault === 'sealed'
    vault.forget()
    expect(await text(vault)).toBe('pl4nted\n')
    expect(troubles).toEqual([expect.stringContaining(says)])
    expect(troubles[0]).toContain('; what was read before stays in use')
    expect(troubles[0]).not.toContain('hvs.')
    const { length } = server.asked
    const begun = performance.now()
    expect(await text(vault)).toBe('pl4nted\n')
    expect([server.asked.length, performance.now() - begun < 500]).toEqual([length, true])
    server.fault = undefined
    server.sealed = false
    ahead = 2000
    expect(await text(vault)).toBe('pl4nted\n')
    await until('it is over', () => troubles.length === 2)
    expect([troubles.at(-1), server.asked.length]).toEqual([undefined, length + 1])
  },
)

describe('while Vault is silent', () => {
  test('the reads of many secrets wait for its deadline once in all', async () => {
    const vault = vaultWith(withToken(server.issue()))
    await text(vault)
    server.fault = { kind: 'silent' }
    const begun = performance.now()
    const many = Array.from({ length: 40 }, (_, index) => refusal(vault, { ...source, path: `r${String(index)}` }))
    const codes = (await Promise.all(many)).map((error) => (error as { code: string }).code)
    expect(new Set(codes)).toEqual(new Set(['vault-unavailable']))
    expect(performance.now() - begun).toBeLessThan(8000)
  }, 20_000)

  test('who has the last value waits for it once, and no more when it is tried again', async () => {
    const vault = vaultWith(withToken(server.issue()))
    await text(vault)
    server.fault = { kind: 'silent' }
    vault.forget()
    await text(vault)
    const { length } = server.asked
    ahead = 2000
    const begun = performance.now()
    expect(await text(vault)).toBe('pl4nted\n')
    expect(performance.now() - begun).toBeLessThan(1000)
    await until('it is asked again', () => server.asked.length === length + 1)
  }, 20_000)
})

describe('who is believed', () => {
  const said = async (change: Partial<VaultParts>) =>
    describeError(await refusal(vaultWith(withToken(server.issue()), change)))

  test('nobody with a certificate of another CA, and the token is not sent to him', async () => {
    expect(await said({ readCa: () => ca('other') })).toMatch(
      /is not believed: .*SIGNATURE.*vault\.caFile must hold the CA/,
    )
    expect(server.asked).toEqual([])
  })

  test('nobody whose certificate bears another name', async () => {
    const address = server.address.replace('127.0.0.1', 'localhost')
    expect(await said({ place: { address } })).toContain('is not believed: ERR_TLS_CERT_ALTNAME_INVALID')
    expect(server.asked).toEqual([])
  })

  test('nobody where caFile is empty, not even who is signed by a CA that comes with Node.js', async () => {
    const usual = getCACertificates()
    setDefaultCACertificates([ca()])
    try {
      expect(await said({ readCa: () => '' })).toContain('is not believed')
    } finally {
      setDefaultCACertificates(usual)
    }
  })

  test('what the environment says of TLS changes nothing', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      expect(await said({ readCa: () => ca('other') })).toContain('is not believed')
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    }
  })
})

describe('the token is kept alive', () => {
  test('it is renewed before it ends, with nobody asking', async () => {
    const vault = vaultWith(withToken(server.issue({ ttlS: 3 })))
    await text(vault)
    await until('it was renewed twice', () => server.times('auth/token/renew-self') >= 2, 8000)
    vault.forget()
    expect(await text(vault)).toBe('pl4nted\n')
    expect([server.times('auth/token/lookup-self'), troubles]).toEqual([1, []])
  })

  test('at the end of its longest life there is another login before it ends', async () => {
    const vault = vaultWith(withRole(server.addRole({ ttlS: 3, maxTtlS: 3 })))
    await text(vault)
    await until('there was another login', () => server.times('auth/approle/login') >= 2, 6000)
    expect([server.times('auth/token/renew-self'), troubles]).toEqual([1, []])
  })

  test('one that cannot be renewed is replaced before it ends', async () => {
    const vault = vaultWith(withRole(server.addRole({ ttlS: 3, renewable: false })))
    await text(vault)
    await until('there was another login', () => server.times('auth/approle/login') >= 2, 6000)
    expect([server.times('auth/token/renew-self'), troubles]).toEqual([0, []])
  })

  test('while Vault is lost it is said, and tried again until it is back, although the token has ended', async () => {
    const vault = vaultWith(withRole(server.addRole({ ttlS: 2 })))
    await text(vault)
    server.sealed = true
    await until('it is said', () => troubles.at(-1)?.includes('sealed') === true, 6000)
    await until('the token has ended', () => server.times('auth/token/renew-self') >= 2, 8000)
    server.sealed = false
    await until('it is over', () => troubles.at(-1) === undefined, 20_000)
    vault.forget()
    expect(await text(vault)).toBe('pl4nted\n')
  }, 40_000)
})

test('close() ends what is under way', async () => {
  server.fault = { kind: 'silent' }
  const vault = vaultWith(withToken(server.issue()))
  const asked = refusal(vault)
  await until('it is asked', () => server.asked.length === 1)
  vault.close()
  expect(describeError(await asked)).toContain('cannot be reached')
})
