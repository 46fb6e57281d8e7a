import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestServer } from '../../test/support/state-change.ts'
import { masterKeyName } from '../statechange/keys.ts'

const entry = join(import.meta.dirname, '..', 'cmd', 'notify.ts')
const state = mkdtempSync(join(tmpdir(), 'kwt-notify-cli-'))
const file = (name: string) => join(state, name)

/** Takes what is said of r1 and refuses the rest; `heard` has the header blocks. */
const heard: string[] = []
const server = createServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', (request) => {
    heard.push(request.toString('latin1'))
    socket.end(
      request.includes('X-Neutron-Router-Id: r1\r\n')
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
        : 'HTTP/1.1 403 Forbidden\r\n\r\n{"code":"sender-refused"}',
    )
  })
})

beforeAll(() => {
  mkdirSync(file('empty'))
  const key = `${'ab'.repeat(32)}\n`
  writeFileSync(file('other'), key)
  writeFileSync(file('state-change.key'), key)
  writeFileSync(file('broken'), 'top secret\n')
  server.listen(file('keepalived-state-change'))
})
afterAll(() => {
  server.close()
  rmSync(state, { recursive: true })
})

/** Exit status and what was said, standard output first. */
const keepward = (...words: string[]) =>
  new Promise<readonly [number, string]>((resolve) => {
    execFile(process.execPath, [entry, ...words], { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout + stderr])
    })
  })

const at = (directory = state) => ['--state', directory]

test.each([
  { words: ['notify', 'r1', 'primary', ...at()], ends: 0, says: 'r1 primary: delivered\n', tells: 'primary' },
  { words: ['notify', ...at(), 'r1', 'MASTER'], ends: 0, says: 'r1 primary: delivered\n', tells: 'primary' },
  { words: ['notify', 'r1', 'Stop', ...at()], ends: 0, says: 'r1 unknown: delivered\n', tells: 'unknown' },
  {
    words: ['notify', 'r1', 'FAULT', ...at(), '--json'],
    ends: 0,
    says: '{"router":"r1","state":"fault","outcome":"delivered"}\n',
    tells: 'fault',
  },
  {
    words: ['--json', 'notify', 'r1', 'BACKUP', ...at()],
    ends: 0,
    says: '{"router":"r1","state":"backup","outcome":"delivered"}\n',
    tells: 'backup',
  },
  {
    words: ['notify', 'r2', 'backup', ...at()],
    ends: 1,
    says: 'r2 backup: refused: sender-refused\n',
    tells: 'backup',
  },
])('keepward $words ends with $ends', async ({ words, ends, says, tells }) => {
  heard.length = 0
  expect(await keepward(...words)).toEqual([ends, says])
  expect(heard).toEqual([expect.stringContaining(`X-Neutron-State: ${tells}\r\n`)])
})

test.each([
  {
    words: ['r1', 'backup', ...at(), '--socket', file('none'), '--deadline', '0.2'],
    ends: 3,
    says: `r1 backup: not delivered within 0.2 s: connect ENOENT ${file('none')}\n`,
  },
  {
    words: ['r1', 'backup', '--state', file('empty')],
    ends: 4,
    says: `There is no key file ${file('empty')}/state-ch`,
  },
  { words: ['r1', 'backup', '--key-file', file('none')], ends: 4, says: `There is no key file ${file('none')} (name` },
  { words: ['r1', 'backup', '--key-file', file('empty')], ends: 4, says: 'Cannot read the key file' },
  {
    words: ['r1', 'backup', '--key-file', file('broken')],
    ends: 4,
    says: `Cannot use the key file ${file('broken')}: The key is not 64 hexadecimal digits`,
  },
  { words: ['r1', 'odd', ...at()], ends: 64, says: 'The state is "odd", must be primary, backup, fault or unknown' },
  { words: ['r/1', 'backup', ...at()], ends: 64, says: '"r/1" is no router id' },
  { words: ['r1', 'backup', ...at(), '--key-id', ''], ends: 64, says: '"" is no key id' },
  { words: ['r1', 'backup', ...at('/'.padEnd(90, 'x'))], ends: 64, says: 'longer than a socket' },
  {
    words: ['r1', 'backup', ...at(), '--deadline', '56'],
    ends: 64,
    says: '--deadline is 56, must be from 0.1 to 55 s',
  },
  { words: ['r1', 'backup', ...at(), '--deadline', '1e1'], ends: 64, says: '--deadline is 1e1' },
  { words: ['r1', 'backup', ...at(), '--interval', '0'], ends: 64, says: '--interval is 0, must be from 1 to 999999' },
  { words: ['r1', 'backup', ...at(), '--interval', '1.5'], ends: 64, says: '--interval is 1.5' },
  { words: ['r1', ...at()], ends: 64, says: "missing required argument 'state'" },
  { words: ['r1', 'backup', 'more', ...at()], ends: 64, says: 'too many arguments' },
  { words: ['r1', 'backup', '--bogus'], ends: 64, says: "unknown option '--bogus'" },
  { words: ['--help'], ends: 0, says: 'Usage: keepward notify [options] <router> <state>' },
])('keepward notify $words ends with $ends and sends nothing', async ({ words, ends, says }) => {
  heard.length = 0
  expect(await keepward('notify', ...words)).toEqual([ends, expect.stringContaining(says)])
  expect(heard).toEqual([])
})

test.each([
  { what: 'the state directory of the file', words: ['-c', file('agent.yaml')], ends: 0 },
  { what: '--state before the file', words: ['--config', file('agent.yaml'), ...at(file('empty'))], ends: 4 },
  { what: 'the file, also where it is none', words: [`--config=${file('none.yaml')}`], ends: 4 },
])('keepward notify takes $what', async ({ words, ends }) => {
  heard.length = 0
  writeFileSync(file('agent.yaml'), `version: 1\npaths: { state: ${state} }\nrouters: [broken\n`)
  const [status, said] = await keepward('notify', 'r1', 'primary', ...words)
  expect([status, heard.length]).toEqual([ends, ends === 0 ? 1 : 0])
  if (ends !== 0) expect(said).toMatch(/none\.yaml does not exist|There is no key file \S*\/empty\//)
})

test('keepward notify-key takes the state directory of the file that -c names', async () => {
  writeFileSync(file('agent.yaml'), `version: 1\npaths: { state: ${state} }\nrouters: []\n`)
  const wanted = await keepward('notify-key', 'r1', ...at())
  expect(await keepward('-c', file('agent.yaml'), 'notify-key', 'r1')).toEqual(wanted)
  expect(wanted).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}\n$/)])
})

test('keepward notify says nothing of what a broken key file holds', async () => {
  expect((await keepward('notify', 'r1', 'backup', '--key-file', file('broken')))[1]).not.toContain('secret')
})

test('keepward notify names its key and its interval', async () => {
  heard.length = 0
  await keepward('notify', 'r1', 'backup', ...at(), '--key-file', file('other'), '--key-id', 'fleet', '--interval', '9')
  expect(heard).toEqual([expect.stringContaining('\r\nx-keepward-key: fleet\r\nx-keepward-interval: 9\r\n')])
})

test('keepward notify signs with the key that follows from the agent’s secret when there is no other', async () => {
  await using agent = await TestServer.start()
  writeFileSync(join(agent.directory, masterKeyName), `${agent.master.revealBytes().toString('hex')}\n`)
  // The signature is judged before the boot, which a test's server may have of its own.
  expect(await keepward('notify', 'r1', 'backup', ...at(agent.directory))).toEqual([
    expect.any(Number),
    expect.stringMatching(/^r1 backup: (delivered|refused: boot-differs)\n$/),
  ])
  expect(await keepward('notify', 'r1', 'backup', ...at(agent.directory), '--key-file', file('other'))).toEqual([
    1,
    'r1 backup: refused: signature-wrong\n',
  ])
})
