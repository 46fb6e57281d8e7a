import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { readVaultKeys, type VaultKey } from './vault-keys.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const key = (id: string): VaultKey => ({ id, source: { kind: 'vault', mount: 'secret', path: id, field: 'key' } })
const digits = '0a'.repeat(32)

function reading(held: Map<string, string>) {
  const found: string[] = []
  const troubles: (string | undefined)[] = []
  const stop = readVaultKeys({
    keys: [key('k1'), key('k2')],
    read: ({ path }) => {
      const text = held.get(path)
      if (text !== undefined) return Promise.resolve(new Secret(`${text}\n`))
      return Promise.reject(new KeepwardError('vault-unavailable', 'Vault is sealed'))
    },
    onKey: (id, secret) => found.push(`${id} ${secret.revealBytes().toString('hex')}`),
    onTrouble: (text) => troubles.push(text),
  })
  return { found, troubles, stop }
}

test('readVaultKeys() hands each key in once it is there, and says what is missing until then', async () => {
  const held = new Map([
    ['k1', digits],
    ['k2', 'n0 key'],
  ])
  const { found, troubles, stop } = reading(held)
  await vi.advanceTimersByTimeAsync(0)
  expect(found).toEqual([`k1 ${digits}`])
  expect(troubles).toEqual([
    'Cannot use secret/k2#key of Vault: The key is not 64 hexadecimal digits and a newline (make one with: openssl rand -hex 32)',
  ])
  held.delete('k2')
  await vi.advanceTimersByTimeAsync(5000)
  expect(troubles.at(-1)).toBe('Vault is sealed')
  held.set('k2', digits)
  await vi.advanceTimersByTimeAsync(5000)
  expect([found, troubles.at(-1)]).toEqual([[`k1 ${digits}`, `k2 ${digits}`], undefined])
  expect(vi.getTimerCount()).toBe(0)
  stop()
})

test('readVaultKeys() tries no more once it is stopped', async () => {
  const { found, stop } = reading(new Map())
  await vi.advanceTimersByTimeAsync(0)
  stop()
  expect([vi.getTimerCount(), found]).toEqual([0, []])
})
