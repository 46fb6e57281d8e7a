import { expect, test } from 'vitest'
import type { SecretSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import { KnownSecrets } from './known-secrets.ts'

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
