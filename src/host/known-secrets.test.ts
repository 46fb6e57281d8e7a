import { expect, test } from 'vitest'
import type { SecretSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import { KnownSecrets, type SecretReader, type VaultReader } from './known-secrets.ts'

const command = (...words: string[]): SecretSource => ({ kind: 'command', argv: ['/usr/bin/x', ...words] })

test('KnownSecrets runs a command once until it is told to forget, and reads a file each time', async () => {
  const asked: string[] = []
  const known = new KnownSecrets(undefined, (source) => {
    asked.push(source.kind === 'command' ? source.argv.join(' ') : source.kind)
    return Promise.resolve(new Secret(String(asked.length)))
  })
  const read = async (source: SecretSource) => (await known.read(source)).revealText()
  expect([await read(command('a')), await read(command('a')), await read(command('b'))]).toEqual(['1', '1', '2'])
  const file = { kind: 'file', path: '/p' } as const
  expect([await read(file), await read(file)]).toEqual(['3', '4'])
  known.forget()
  expect(await read(command('a'))).toBe('5')
})

test('KnownSecrets runs a command that failed again', async () => {
  let fails = true
  const known = new KnownSecrets(undefined, () =>
    fails ? Promise.reject(new Error('no')) : Promise.resolve(new Secret('s')),
  )
  await expect(known.read(command())).rejects.toThrow('no')
  fails = false
  expect((await known.read(command())).revealText()).toBe('s')
})

test('KnownSecrets.ahead() asks each source once more, and what is known stays known', async () => {
  let said = 0
  const vault: VaultReader = {
    read: () => Promise.resolve(new Secret('of before')),
    readAhead: () => Promise.resolve(new Secret(`vault ${String(++said)}`)),
    forget: () => {
      throw new Error('forgotten')
    },
    onTrouble: () => undefined,
    onLogin: () => undefined,
  }
  const known = new KnownSecrets(vault, () => Promise.resolve(new Secret(`command ${String(++said)}`)))
  const read = async (from: SecretReader, source: SecretSource) => (await from.read(source)).revealText()
  const kept = { kind: 'vault', mount: 'secret', path: 'r1', field: 'password' } as const
  expect(await read(known, command())).toBe('command 1')
  const ahead = known.ahead()
  expect([await read(ahead, command()), await read(ahead, command())]).toEqual(['command 2', 'command 2'])
  expect([await read(ahead, kept), await read(ahead, kept)]).toEqual(['vault 3', 'vault 3'])
  expect([await read(known, command()), await read(known, kept)]).toEqual(['command 1', 'of before'])
})
