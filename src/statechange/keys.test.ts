import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Secret } from '../base/secret.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { MasterKey, masterKeyName, retiredKeyName, routerKey, secretFinder } from './keys.ts'

const root = mkdtempSync(join(tmpdir(), 'kwt-keys-'))
afterAll(() => {
  rmSync(root, { recursive: true })
})
let dir: SafeDir
let count = 0
beforeEach(() => {
  dir = SafeDir.open(join(root, String(++count)), { create: true })
})
const hex = (secrets: readonly Secret[]) => secrets.map((one) => one.revealBytes().toString('hex'))

test('MasterKey.open() makes a key once, for its owner alone', async () => {
  const made = hex((await MasterKey.open(dir, 0)).at(0))
  expect(made).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
  expect(hex((await MasterKey.open(dir, 0)).at(0))).toEqual(made)
  expect(statSync(dir.pathOf(masterKeyName)).mode & 0o777).toBe(0o600)
})

test('rotate() makes a new key and honours the one before for the grace, across a restart, and no longer', async () => {
  const key = await MasterKey.open(dir, 0)
  const [old] = hex(key.at(0))
  expect(await key.rotate(1_000_000, 60_000)).toEqual({ untilMs: 1_060_000 })
  const [now] = hex(key.at(1_000_000))
  expect(now).not.toBe(old)
  expect(readFileSync(dir.pathOf(masterKeyName), 'utf8')).toBe(`${now ?? ''}\n`)
  expect(statSync(dir.pathOf(retiredKeyName)).mode & 0o777).toBe(0o600)
  for (const one of [key, await MasterKey.open(dir, 0)]) {
    expect(hex(one.at(1_059_999))).toEqual([now, old])
    expect(hex(one.at(1_060_000))).toEqual([now])
  }
  await MasterKey.open(dir, 1_060_000)
  expect(await dir.list()).toEqual([masterKeyName])
  await key.rotate(1_010_000, 0)
  expect(hex(key.at(1_010_000))).toHaveLength(1)
  expect(hex(key.at(1_010_000))).not.toContain(now)
})

test('MasterKey.open() says what is wrong with a retired key, without a word of it', async () => {
  await MasterKey.open(dir, 0)
  writeFileSync(dir.pathOf(retiredKeyName), 'pl4nted', { mode: 0o600 })
  await expect(MasterKey.open(dir, 0)).rejects.toThrow(`${dir.pathOf(retiredKeyName)} is no retired key`)
})

test('secretFinder() derives the keys of a router from each secret in force, and takes named ones as they are', () => {
  const [a, b, named] = [1, 2, 3].map((byte) => new Secret(Buffer.alloc(32, byte))) as [Secret, Secret, Secret]
  let inForce = [a]
  const find = secretFinder(
    () => inForce,
    new Map([
      ['fleet', [named]],
      ['late', []],
    ]),
  )
  expect(hex(find('r1'))).toEqual(hex([routerKey(a, 'r1')]))
  inForce = [b, a]
  expect(hex(find('r1'))).toEqual(hex([routerKey(b, 'r1'), routerKey(a, 'r1')]))
  expect(hex(find('fleet'))).toEqual(hex([named]))
  // Not the key of a router of that name, whose holder would speak as this sender.
  expect(find('late')).toEqual([])
})
