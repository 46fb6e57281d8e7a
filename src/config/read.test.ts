import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readConfig, readRunPath } from './read.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-config-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

test('readConfig() gives the config and the hash of its text', async () => {
  const path = file('good.yaml', 'version: 1\nrouters: []\n')
  const { config, hash } = await readConfig(path, 'host-a')
  expect(config.agent.id).toBe('host-a')
  expect(hash).toMatch(/^[0-9a-f]{64}$/)
})

test('readConfig() names the whole path when the config is invalid', async () => {
  const path = file('bad.yaml', 'version: 1\nrouters: 1\n')
  await expect(readConfig(path, 'host-a')).rejects.toMatchObject({
    code: 'config-invalid',
    message: `${path}:2:10 routers: is 1, must be a list of routers`,
  })
})

test('readConfig() names accounts that the host does not have, beside all other problems', async () => {
  const stateChange =
    'stateChange: { socketGroup: kw-none, senders: [{ user: kw-none }, { user: root }, { group: kw-none }] }'
  const path = file('accounts.yaml', `version: 1\n${stateChange}\nrouters: 1\n`)
  const find = (_database: string, name: string) => Promise.resolve(name === 'root' ? 0 : undefined)
  await expect(readConfig(path, 'host-a', find)).rejects.toMatchObject({
    code: 'config-invalid',
    problems: [
      { line: 2, path: 'stateChange.socketGroup', message: 'is "kw-none", must be a group that this host has' },
      { line: 2, path: 'stateChange.senders[0].user', message: 'is "kw-none", must be a user that this host has' },
      { line: 2, path: 'stateChange.senders[2].group', message: 'is "kw-none", must be a group that this host has' },
      { line: 3, path: 'routers' },
    ],
  })
  await expect(readConfig(path, 'host-a', () => Promise.resolve(7))).rejects.toMatchObject({
    problems: [{ path: 'routers' }],
  })
})

test('readConfig() names accounts of services and hooks that the host does not have, and asks for each once', async () => {
  const router = (id: string, vrid: number, more: string) =>
    `  - id: ${id}
    vrid: ${String(vrid)}
    uniqueAddresses: false
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.2] } }
    interfaces: [{ name: ha0, attach: { bridge: br-${id} }, addresses: [169.254.192.1/18] }]
    virtualAddresses: [{ address: 169.254.169.254/32, interface: ha0 }]
${more}`
  const hooks = '    hooks: [{ program: /x, user: root-not }, { program: /y, user: 7 }, { program: /z, user: known }]\n'
  const text = `version: 1\nrouters:\n${router('r1', 7, `    metadata: { socket: /s }\n${hooks}`)}${router('r2', 8, hooks)}`
  const path = file('services.yaml', text)
  const asked: string[] = []
  const find = (database: string, name: string) => {
    asked.push(`${database} ${name}`)
    return Promise.resolve(name === 'known' ? 7 : undefined)
  }
  const user = 'is "root-not", must be a user that this host has'
  await expect(readConfig(path, 'host-a', find)).rejects.toMatchObject({
    code: 'config-invalid',
    problems: [
      { line: 9, path: 'routers[0].metadata.user', message: 'is "haproxy", must be a user that this host has' },
      { line: 9, path: 'routers[0].metadata.group', message: 'is "haproxy", must be a group that this host has' },
      { line: 10, path: 'routers[0].hooks[0].user', message: user },
      { line: 17, path: 'routers[1].hooks[0].user', message: user },
    ],
  })
  expect(asked.toSorted()).toEqual(['group haproxy', 'passwd haproxy', 'passwd known', 'passwd root-not'])
})

test.each([
  ['is relative', () => 'agent.yaml', 'is a relative path, must be an absolute one'],
  ['does not exist', () => join(directory, 'none.yaml'), 'does not exist'],
  ['is a directory', () => directory, 'is no regular file, must be one'],
  ['is a FIFO', fifo, 'is no regular file, must be one'],
  [
    'is too long',
    () => file('long.yaml', Buffer.alloc(1_048_577, 32)),
    'is longer than 1048576 bytes, must be at most that',
  ],
  ['is not UTF-8', () => file('latin1.yaml', Uint8Array.of(0x61, 0xe9)), 'is not UTF-8 text, must be'],
])('readConfig() refuses with config-unreadable when the path %s', async (_, make, why) => {
  const path = make()
  await expect(readConfig(path, 'host-a')).rejects.toMatchObject({
    code: 'config-unreadable',
    message: `Cannot read the configuration: ${path} ${why}`,
  })
})

test.each([
  ['is valid', 'version: 1\npaths: { run: /run/other }\n', '/run/other'],
  ['has an error elsewhere', 'version: 7\npaths: { run: /run/other }\nrouters: 1\n', '/run/other'],
  ['has an error there', 'paths: { run: other }\n', '/run/keepward'],
  ['does not say', 'version: 1\n', '/run/keepward'],
  ['is no YAML', '{{{', '/run/keepward'],
])('readRunPath() still finds the agent when the file %s', async (_, text, run) => {
  expect(await readRunPath(file('run.yaml', text))).toBe(run)
})

test.skipIf(process.getuid?.() === 0)(
  'readConfig() refuses with config-unreadable when it has no permission',
  async () => {
    const path = file('secret.yaml', 'version: 1\n')
    chmodSync(path, 0)
    await expect(readConfig(path, 'host-a')).rejects.toMatchObject({ code: 'config-unreadable' })
  },
)

function fifo(): string {
  const path = join(directory, 'fifo')
  execFileSync('mkfifo', [path])
  return path
}
