import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { describeError } from '../base/error.ts'
import type { LocalSource } from '../base/secret-source.ts'
import { readSecret } from './read-secret.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-source-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const content = 'pl4nted-s3cret'
const isRoot = process.getuid?.() === 0
function file(name: string, text: string, mode = 0o600): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}
const text = async (source: LocalSource) => (await readSecret(source)).revealText()
const command = (...argv: string[]): LocalSource => ({ kind: 'command', argv })

test('readSecret() reads each source; what is no file ends in one newline', async () => {
  vi.stubEnv('KWT_SECRET', content)
  vi.stubEnv('CREDENTIALS_DIRECTORY', directory)
  expect(await text({ kind: 'file', path: file('a', content) })).toBe(content)
  expect(await text({ kind: 'credential', name: 'a' })).toBe(`${content}\n`)
  expect(await text({ kind: 'environment', variable: 'KWT_SECRET' })).toBe(`${content}\n`)
  expect(await text(command('/usr/bin/printf', content))).toBe(`${content}\n`)
  expect(await text(command('/usr/bin/cat', file('a', `${content}\n`)))).toBe(`${content}\n`)
})

test.each(isRoot ? [0o400, 0o440] : [0o400])(
  'readSecret() takes a credential of root with mode %o, as systemd.exec(5) leaves it',
  async (mode) => {
    vi.stubEnv('CREDENTIALS_DIRECTORY', directory)
    file('made', content, mode)
    expect(await text({ kind: 'credential', name: 'made' })).toBe(`${content}\n`)
  },
)

test('readSecret() gives a command a clean environment, without the secrets of ours', async () => {
  vi.stubEnv('KWT_SECRET', content)
  expect(await text(command('/usr/bin/env'))).toBe('PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n')
})

test.each<{ when: string; source: () => LocalSource; code: string; says: string }>([
  {
    when: 'others may read the file',
    source: () => ({ kind: 'file', path: file('open', content, 0o640) }),
    code: 'file-unsafe',
    says: 'must be a file of ours or root',
  },
  {
    when: 'a file has the mode that a credential has',
    source: () => ({ kind: 'file', path: file('shared', content, 0o440) }),
    code: 'file-unsafe',
    says: 'must be a file of ours or root',
  },
  {
    when: 'a credential is of mode 0440 and of another group than root’s',
    source: () => {
      const path = file('grouped', content, 0o440)
      if (isRoot) chownSync(path, 0, 60_990)
      vi.stubEnv('CREDENTIALS_DIRECTORY', directory)
      return { kind: 'credential', name: 'grouped' }
    },
    code: 'file-unsafe',
    says: 'with mode 0400 or 0440, not of uid ',
  },
  {
    when: 'others may read the credential',
    source: () => {
      vi.stubEnv('CREDENTIALS_DIRECTORY', directory)
      return { kind: 'credential', name: file('open', content, 0o644).slice(directory.length + 1) }
    },
    code: 'file-unsafe',
    says: 'must be a file of ours or root',
  },
  {
    when: 'there are no credentials',
    source: () => ({ kind: 'credential', name: 'a' }),
    code: 'secret-unavailable',
    says: 'There is no secret in the credential a: $CREDENTIALS_DIRECTORY is not set (run it as a unit with LoadCredential=a:FILE)',
  },
  {
    when: 'the variable is not set',
    source: () => ({ kind: 'environment', variable: 'KWT_SECRET' }),
    code: 'secret-unavailable',
    says: 'There is no secret in the environment variable KWT_SECRET: it is not set',
  },
  {
    when: 'the command fails, and says the secret',
    source: () => command('/usr/bin/cat', file('b', content), '/nowhere'),
    code: 'secret-unavailable',
    says: 'There is no secret in what /usr/bin/cat says: the command did not end well within 5000 ms and 4096 bytes (command-failed)',
  },
  {
    when: 'the command says too much',
    source: () => command('/usr/bin/cat', file('c', content.repeat(400))),
    code: 'secret-unavailable',
    says: '(command-failed)',
  },
  {
    when: 'the command is not there',
    source: () => command('/usr/bin/kwt-none'),
    code: 'file-failed',
    says: 'Cannot open /usr/bin/kwt-none',
  },
  {
    when: 'others can write the program',
    source: () => command(file('d', '#!/bin/sh\n', 0o777)),
    code: 'file-unsafe',
    says: 'Others can write',
  },
])('readSecret() refuses when $when, without a word of the content', async ({ source, code, says }) => {
  const error: unknown = await readSecret(source()).catch((refused: unknown) => refused)
  expect(error).toMatchObject({ code })
  expect(describeError(error)).toContain(says)
  expect(describeError(error)).not.toContain(content)
})

test('readSecret() ends a command that takes too long', { timeout: 20_000 }, async () => {
  const from = performance.now()
  await expect(readSecret(command('/usr/bin/sleep', '30'))).rejects.toThrow('(command-timeout)')
  expect(performance.now() - from).toBeLessThan(15_000)
})
