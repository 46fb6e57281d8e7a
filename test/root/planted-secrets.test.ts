import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AgentStatus } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { program } from '../support/lab.ts'
import { Hunt, plantKey, plantPassword, type Planted } from '../support/planted.ts'
import { until } from '../support/until.ts'

/*
 * The program as it is shipped, with a secret from each source and real keepalived. It works, fails and refuses; meanwhile
 * and afterwards everything that it says or leaves behind is searched for the secrets, as they are, in base64 and in hex.
 */
const passwords = {
  file: plantPassword('password file'),
  credential: plantPassword('password credential'),
  command: plantPassword('password command'),
  environment: plantPassword('password variable'),
}
const keys = {
  file: plantKey('key file'),
  credential: plantKey('key credential'),
  command: plantKey('key command'),
  environment: plantKey('key variable'),
}
const wrong = {
  open: plantPassword('password that others may read'),
  failing: plantPassword('password of a command that fails'),
  long: { name: 'password that is too long', text: `${plantPassword('').text}${plantPassword('').text}` },
  quoted: { name: 'password that cannot be rendered', text: `${plantPassword('').text.slice(0, 7)}"` },
  hmac: plantKey('key of hmac'),
  inPlace: plantKey('key in the place of its source'),
  misplaced: plantPassword('password in the place of its source'),
}

let home: string
let bridge: string
let agent: ChildProcess | undefined
let hunt: Hunt

beforeEach(() => {
  home = mkdtempSync('/run/kwt-plant-')
  bridge = `kwp${String(process.pid)}`
  ip('link', 'add', bridge, 'up', 'type', 'bridge')
})
afterEach(async () => {
  if (agent?.exitCode === null) {
    agent.kill('SIGTERM')
    await once(agent, 'exit')
  }
  agent = undefined
  writeConfig([])
  await keepward('agent', '--teardown')
  ip('link', 'delete', bridge)
  rmSync(home, { recursive: true, force: true })
})

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })

/** Of root alone unless told otherwise. */
function file(name: string, text: string, mode = 0o600): string {
  const path = join(home, 'secrets', name)
  mkdirSync(join(home, 'secrets'), { recursive: true })
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

/** Says a secret, and lives long enough to be seen in /proc. */
const sayer = (name: string, secret: Planted, ends = 0): string => {
  const from = file(`${name}.txt`, `${secret.text}\n`)
  return file(name, `#!/bin/sh\nsleep 0.2\ncat ${from}\ncat ${from} >&2\nexit ${String(ends)}\n`, 0o700)
}

const router = (number: number, authentication: string): string => `
  - id: r${String(number)}
    vrid: ${String(number)}
    vrrpVersion: 2
    authentication: ${authentication}
    ha: { interface: ha0, unicast: { source: 169.254.192.${String(number)}, peers: [169.254.192.99] } }
    interfaces: [{ name: ha0, attach: { bridge: ${bridge} }, addresses: [169.254.192.${String(number)}/18] }]
    virtualAddresses: [{ address: 203.0.113.${String(number)}/24, interface: ha0 }]`

function writeConfig(routers: readonly string[], senders: readonly string[] = []): void {
  const text = `version: 1
agent: { id: kwt-${String(process.pid)} }
paths: { state: ${home}/state, run: ${home}/run }
logging: { level: debug }
stateChange: { senders: [${senders.join(', ')}] }
routers:${routers.length === 0 ? ' []' : routers.join('')}
`
  writeFileSync(join(home, 'agent.yaml'), text, { mode: 0o644 })
}

/** What a command said, on both streams. */
const keepward = (...words: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(program, ['-c', join(home, 'agent.yaml'), ...words], { timeout: 30_000 }, (_error, stdout, stderr) => {
      resolve(stdout + stderr)
    })
  })

const sources = [
  () => `{ passFile: ${file('p1', `${passwords.file.text}\n`)} }`,
  () => '{ pass: { credential: p2 } }',
  () => `{ pass: { command: [${sayer('say3', passwords.command)}] } }`,
  () => '{ pass: { environment: KWT_P4 } }',
  () => `{ passFile: ${file('p5', wrong.open.text, 0o644)} }`,
  () => `{ pass: { command: [${sayer('say6', wrong.failing, 3)}] } }`,
  () => `{ passFile: ${file('p7', wrong.long.text)} }`,
  () => `{ passFile: ${file('p8', wrong.quoted.text)} }`,
  () => `{ hmac: { keys: [{ id: 1, file: ${file('k9', `hex:${wrong.hmac.text}\n`)} }], activeKey: 1 } }`,
]

async function startAgent(): Promise<void> {
  const credentials = join(home, 'secrets')
  file('p2', passwords.credential.text)
  file('k2', keys.credential.text)
  const senders = [
    `file: ${file('k1', `${keys.file.text}\n`)}`,
    'credential: k2',
    `command: [${sayer('say-key', keys.command)}]`,
    'environment: KWT_K4',
  ].map((source, index) => `{ key: { id: k${String(index)}, ${source} }, routers: [r1] }`)
  writeConfig(
    sources.map((source, index) => router(index + 1, source())),
    senders,
  )
  const env = {
    PATH: process.env['PATH'],
    CREDENTIALS_DIRECTORY: credentials,
    KWT_P4: passwords.environment.text,
    KWT_K4: keys.environment.text,
  }
  const started = spawn(program, ['-c', join(home, 'agent.yaml'), 'agent'], { stdio: ['ignore', 'pipe', 'pipe'], env })
  agent = started
  for (const stream of ['stdout', 'stderr'] as const) {
    started[stream].on('data', (bytes: Buffer) => {
      hunt.look('log', bytes)
    })
  }
  await until('the agent answers, or has ended', async () => started.exitCode ?? status(), 20_000)
}

const socket = () => join(home, 'run', 'control.sock')
const status = () => callAt<AgentStatus>(socket(), 'GET', '/v1/status')

/**
 * Arguments and environment of every process, until told to end. The environment of the agent is a source; a child that has
 * not called execve(2) yet is the agent still, and shows its arguments.
 */
async function watchProcesses(signal: AbortSignal): Promise<void> {
  const own = readFileSync(`/proc/${String(agent?.pid)}/cmdline`)
  while (!signal.aborted) {
    for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`)
        hunt.look('cmdline', words)
        if (!words.equals(own)) hunt.look('environ', readFileSync(`/proc/${pid}/environ`))
      } catch {
        // It has ended.
      }
    }
    await wait(40)
  }
}

/** Each file that we made but the sources: whoever may read it, unless it is one that must hold a secret and is 0600. */
function lookAtFiles(): void {
  for (const name of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
    const path = join(home, name)
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats?.isFile() !== true || name.startsWith('secrets/') || name === 'agent.yaml') continue
    const holds = /^run\/routers\/r[1-9]\/(?:keepalived\.conf|dump\/keepalived\.json)$|^state\/state-change\.key$/.test(
      name,
    )
    if (holds && (stats.mode & 0o077) === 0) continue
    hunt.look(name.startsWith('state/journal') ? 'journal' : `file ${name}`, readFileSync(path))
  }
}

const misplacedIn = (): readonly string[] => [
  router(1, `'${wrong.misplaced.text}'`),
  router(1, `{ password: '${wrong.misplaced.text}' }`),
  router(1, `{ passFile: '${wrong.misplaced.text}' }`),
  router(1, `{ pass: { environment: '${wrong.misplaced.text}!' } }`),
  router(1, `{ pass: { command: ['${wrong.misplaced.text}'] } }`),
  router(1, `{ hmac: { keys: [{ id: 1, file: 'hex:${wrong.inPlace.text}' }], activeKey: 1 } }`),
]

const allPlanted = [passwords, keys, wrong].flatMap((group): Planted[] => Object.values(group))

test('the hunt finds each planted secret in each form', () => {
  for (const one of allPlanted) {
    for (const form of [
      one.text,
      Buffer.from(one.text).toString('hex').toUpperCase(),
      ...['', 'x', 'xy'].map((before) => Buffer.from(`${before}${one.text}z`).toString('base64')),
    ]) {
      const own = new Hunt(allPlanted)
      own.look('here', `before ${form} after`)
      expect([...own.found]).toEqual([`here: ${one.name}`])
    }
  }
})

test('no planted secret is in a log, an error, the journal, a metric, an answer, a process or a file', async () => {
  hunt = new Hunt(allPlanted)
  await startAgent()
  const master = readFileSync(join(home, 'state', 'state-change.key'), 'utf8').trim()
  const others = new Hunt([{ name: 'own key', text: master }])
  const ends = new AbortController()
  const watched = watchProcesses(ends.signal)
  const good = ['r1', 'r2', 'r3', 'r4']
  await until(
    'routers with a password run, the others say why not',
    async () => {
      const { routers } = await status()
      const runs = good.every((id) => routers.find((one) => one.id === id)?.role === 'primary')
      const bad = routers.filter(({ id }) => !good.includes(id))
      return runs && bad.every(({ conditions }) => conditions.some(({ code }) => code !== 'vrrp-password'))
    },
    40_000,
  )
  const say = async (place: string, ...words: readonly string[]) => {
    const said = await keepward(...words)
    hunt.look(place, said)
    others.look(place, said)
  }
  const state = ['--state', join(home, 'state')]
  await say('notify', 'notify', 'r1', 'primary', ...state)
  await say('notify', 'notify', 'r1', 'backup', ...state, '--key-file', join(home, 'secrets', 'k1'), '--key-id', 'k0')
  await say('notify', 'notify', 'r1', 'backup', ...state, '--key-file', join(home, 'secrets', 'k1'), '--key-id', 'k1')
  await say('notify', 'notify', 'r1', 'backup', ...state, '--key-file', join(home, 'secrets', 'p1'))
  await say('rotate', 'secrets', 'rotate', 'notifiers')
  for (const words of [['status'], ['status', '--json'], ['plan'], ['apply'], ['doctor'], ['doctor', '--security']])
    await say(words.join(' '), ...words)
  for (let number = 1; number <= sources.length; number++) await say('explain', 'explain', `r${String(number)}`)
  const paths = ['/v1/status', '/v1/plan', '/v1/events?limit=1000', '/v1/verify', '/v1/openapi.json', '/v1/routers/r1']
  for (const path of paths) {
    const answer = JSON.stringify(await callAt(socket(), 'GET', path))
    hunt.look(path, answer)
    others.look(path, answer)
  }
  const metrics = execFileSync('curl', ['-s', '--unix-socket', socket(), 'http://localhost/metrics'])
  hunt.look('metrics', metrics)
  for (const text of misplacedIn()) {
    writeConfig([text], [`{ key: { id: k0, file: '${wrong.inPlace.text}' } }`])
    for (const words of [['validate'], ['plan'], ['apply']]) await say('refusals', ...words)
    agent?.kill('SIGHUP')
  }
  hunt.look('status of refusals', JSON.stringify(await status()))
  await say('events', 'events', '--limit', '1000', '--json')
  ends.abort()
  await watched
  lookAtFiles()
  expect([...hunt.found, ...others.found]).toEqual([])
  for (const place of ['log', 'cmdline', 'environ', 'journal', 'metrics', 'refusals', 'explain', 'notify', 'events'])
    expect([place, hunt.seen.get(place)]).toEqual([place, expect.any(Number)])
}, 120_000)
