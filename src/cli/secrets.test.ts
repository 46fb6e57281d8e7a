import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const entry = join(import.meta.dirname, '..', 'cmd', 'keepward.ts')
const root = mkdtempSync(join(tmpdir(), 'kwt-secrets-'))
afterAll(() => {
  rmSync(root, { recursive: true })
})

/** Exit status, standard output, standard error. */
const keepward = (...words: string[]) =>
  new Promise<readonly [number, string, string]>((resolve) => {
    execFile(process.execPath, [entry, ...words], { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout, stderr])
    })
  })

const file = join(root, 'agent.yaml')
const router = (id: number, authentication: string) => `
  - id: r${String(id)}
    vrid: ${String(id)}
    vrrpVersion: 2
    authentication: ${authentication}
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.2] } }
    interfaces: [{ name: ha0, attach: existing, addresses: [169.254.192.1/18] }]
    virtualAddresses: [{ address: 203.0.113.${String(id)}/24, interface: ha0 }]`
writeFileSync(
  file,
  `version: 1\nrouters:${[
    router(1, '{ passFile: /etc/keepward/r1 }'),
    router(2, '{ hmac: { keys: [{ id: 1, file: /k1 }, { id: 7, file: /k7 }], activeKey: 7 } }'),
    router(3, 'none'),
  ].join('')}\n`,
)

test.each([
  { words: [], form: /^[A-HJ-NP-Za-km-z2-9]{8}\n$/ },
  { words: ['--for', 'hmac'], form: /^hex:[0-9a-f]{64}\n$/ },
  { words: ['--for', 'sender'], form: /^[0-9a-f]{64}\n$/ },
  { words: ['--for', 'nkey'], form: /^SU[A-Z2-7]{56}\n$/ },
  { words: ['--for', 'webhook'], form: /^whsec_[A-Za-z0-9+/]{43}=\n$/ },
  { words: ['--json'], form: /^\{"for":"pass","secret":"[A-HJ-NP-Za-km-z2-9]{8}"\}\n$/ },
])('keepward secrets new $words prints another one each time', async ({ words, form }) => {
  const [[code, first], [, second]] = [
    await keepward('secrets', 'new', ...words),
    await keepward('secrets', 'new', ...words),
  ]
  expect([code, first, second]).toEqual([0, expect.stringMatching(form), expect.stringMatching(form)])
  expect(first).not.toBe(second)
})

test('keepward nats public tells the public key of a seed, and no word of what is none', async () => {
  const seed = join(root, 'seed')
  // Of NATS' own documentation of NKeys.
  writeFileSync(seed, 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n')
  expect(await keepward('nats', 'public', seed)).toEqual([
    0,
    'UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4\n',
    '',
  ])
  writeFileSync(seed, 'SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VX\n')
  const [code, out, said] = await keepward('nats', 'public', seed)
  expect([code, out]).toEqual([64, ''])
  expect(said).toContain('holds no seed of an NKey of a user (SU...)')
  expect(said).not.toContain('SUACSSL3')
})

test('keepward secrets rotate refuses to rotate a password, says why, and does so when told', async () => {
  const [code, out, said] = await keepward('-c', file, 'secrets', 'rotate', 'r1')
  expect([code, out]).toEqual([4, ''])
  expect(said).toContain('The password of router r1 cannot be rotated without a role change: VRRPv2 knows one password')
  expect(said).toContain('on both sides one becomes primary')
  const accepted = await keepward('-c', file, 'secrets', 'rotate', 'r1', '--accept-role-change')
  expect(accepted).toEqual([0, expect.stringMatching(/takes it from: [A-HJ-NP-Za-km-z2-9]{8}\n/), ''])
})

test('keepward secrets rotate says how a key of hmac is replaced under a new id', async () => {
  const [code, out] = await keepward('-c', file, 'secrets', 'rotate', 'r2')
  expect([code, out.split('\n').map((line) => line.replace(/hex:[0-9a-f]{64}$/, 'KEY'))]).toEqual([
    0,
    [
      '1. On every host of r2, put this key into a new file of root alone (umask 077), and name it with id 8 below hmac.keys, beside 1 and 7; activeKey stays 7. keepward apply. The key: KEY',
      '2. Once every host has it: activeKey: 8 on every host, one after the other. keepward apply.',
      '3. Once every host signs with it: take the key 7 out of hmac.keys on every host. keepward apply. Remove its file.',
      '',
    ],
  ])
})

test.each([
  { words: ['r3'], ends: 64, says: 'Router r3 has no authentication' },
  { words: ['r9'], ends: 4, says: 'has no router r9' },
  { words: ['notifiers', '--grace', '604801'], ends: 64, says: '--grace is 604801, must be 0 to 604800 seconds' },
  { words: ['notifiers', '--socket', '/nowhere'], ends: 4, says: 'Cannot reach the agent' },
])('keepward secrets rotate $words ends with $ends', async ({ words, ends, says }) => {
  expect(await keepward('-c', file, 'secrets', 'rotate', ...words)).toEqual([ends, '', expect.stringContaining(says)])
})
