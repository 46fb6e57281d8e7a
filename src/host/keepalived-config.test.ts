import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { routerSpec } from '../../test/support/router.ts'
import type { KeepalivedFeatures } from '../keepalived/features.ts'
import { readSecret } from '../linux/read-secret.ts'
import type { RouterSpec } from '../router/spec.ts'
import { compareConfig, wantedConfig } from './keepalived-config.ts'

const directory = mkdtempSync(join(tmpdir(), 'keepward-secrets-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const features: KeepalivedFeatures = {
  version: { major: 2, minor: 4, patch: 3 },
  options: new Set(['VRRP', 'VRRP_AUTH', 'JSON']),
  dumpSignal: 36,
}
const place = { features, fifoPath: '/run/keepward/notify.fifo', secrets: { read: readSecret } }

function secret(text: string, mode = 0o600): string {
  const path = join(directory, 'r1')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const withPassword = (path: string): RouterSpec =>
  routerSpec({ vrrpVersion: 2, authentication: { kind: 'pass', password: { kind: 'file', path } } })
const withKey = (file: string): RouterSpec =>
  routerSpec({ authentication: { kind: 'hmac', keys: [{ id: 1, file }], activeKey: 1, mode: 'enforce' } })

test('wantedConfig() reads the password and leaves the keys of hmac in their files', async () => {
  expect(await wantedConfig(withPassword(secret('s3cret\n')), place)).toContain('auth_pass "s3cret"')
  const key = `hex:${'0a'.repeat(32)}`
  const text = await wantedConfig(withKey(secret(key)), place)
  expect(text).toContain(`key 1 file:${directory}/r1`)
  expect(text).not.toContain('0a0a')
  for (const other of [`${key}\n`, `hex:${'aF'.repeat(64)}`])
    expect(await wantedConfig(withKey(secret(other)), place)).toBe(text)
})

test.each(['', 'hex:', 'a'.repeat(64), `hex:${'0a'.repeat(31)}`, `hex:${'0a'.repeat(65)}`, `hex:${'0g'.repeat(32)}`])(
  'wantedConfig() refuses a key file that holds %j, with a hint and without its text',
  async (text) => {
    await expect(wantedConfig(withKey(secret(text)), place)).rejects.toThrow(
      expect.objectContaining({
        code: 'key-invalid',
        message: `The key file ${directory}/r1 of router r1 holds something else than hex: and 64 to 128 hexadecimal digits`,
        hint: expect.stringContaining('openssl rand -hex 32') as string,
      }),
    )
  },
)

test('wantedConfig() refuses secrets that others may read, and those that are not there', async () => {
  for (const spec of [withPassword, withKey]) {
    const path = secret(`hex:${'0a'.repeat(32)}`, 0o640)
    await expect(wantedConfig(spec(path), place)).rejects.toThrow(expect.objectContaining({ code: 'file-unsafe' }))
    const gone = join(directory, 'gone')
    await expect(wantedConfig(spec(gone), place)).rejects.toThrow(`Cannot read ${gone} of router r1`)
  }
})

test('compareConfig() takes a config that cannot be had for one not yet written, so that writing it says why', async () => {
  const old = { ...place, features: { ...features, version: { major: 2, minor: 2, patch: 7 } } }
  const compared = await compareConfig(withKey(secret(`hex:${'0a'.repeat(32)}`)), undefined, old)
  expect(compared).toEqual({ wantedDigest: 'not to be had', writtenDigest: undefined, change: 'none' })
})
