import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AgentStatus, EventView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { configHash } from '../../src/keepalived/config-file.ts'
import { endChild } from '../support/child.ts'
import { program } from '../support/lab.ts'
import { lookAtFiles, lookAtMemory, watchProcesses } from '../support/hunting-ground.ts'
import { newNkey } from '../support/nats-server.ts'
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
/** Of sinks, to which nobody answers. */
const sinks = {
  nkey: { name: 'seed of an NKey', text: newNkey().seed.revealText() },
  rabbit: plantKey('password of a broker'),
  webhook: { name: 'key of a webhook', text: `whsec_${Buffer.from(plantKey('').text, 'hex').toString('base64')}` },
}
/** Of an agent beside a keepward-host, which gets it too. */
const pseudonyms = plantKey('key of pseudonyms')

let home: string
let bridge: string
/** Of the agent, when it is not root: then a keepward-host stands beside it. */
let uid: number | undefined
let processes: ChildProcess[] = []
let hunt: Hunt

beforeEach(() => {
  home = mkdtempSync('/run/kwt-plant-')
  chmodSync(home, 0o711)
  bridge = `kwp${String(process.pid)}`
  ip('link', 'add', bridge, 'up', 'type', 'bridge')
})
afterEach(async () => {
  await endChild(processes.at(-1))
  writeConfig([])
  const as = uid ?? 0
  execFileSync(program, ['-c', join(home, 'agent.yaml'), 'agent', '--teardown'], { uid: as, gid: as, stdio: 'pipe' })
  for (const one of processes) await endChild(one)
  processes = []
  uid = undefined
  ip('link', 'delete', bridge)
  rmSync(home, { recursive: true, force: true })
})

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' })

/** Of root alone unless told otherwise. */
function file(name: string, text: string, mode = 0o600, owner = 0): string {
  const path = join(home, 'secrets', name)
  mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o755 })
  writeFileSync(path, text)
  chownSync(path, owner, owner)
  chmodSync(path, mode)
  return path
}

/** Says a secret, and lives long enough to be seen in /proc. */
const sayer = (name: string, secret: Planted, ends = 0, owner = 0): string => {
  const from = file(`${name}.txt`, `${secret.text}\n`, 0o600, owner)
  return file(name, `#!/bin/sh\nsleep 0.2\ncat ${from}\ncat ${from} >&2\nexit ${String(ends)}\n`, 0o755)
}

const router = (number: number, authentication: string): string => `
  - id: r${String(number)}
    vrid: ${String(number)}
    vrrpVersion: 2
    authentication: ${authentication}
    ha: { interface: ha0, unicast: { source: 169.254.192.${String(number)}, peers: [169.254.192.99] } }
    interfaces: [{ name: ha0, attach: { bridge: ${bridge} }, addresses: [169.254.192.${String(number)}/18] }]
    virtualAddresses: [{ address: 203.0.113.${String(number)}/24, interface: ha0 }]`

function sinkLines(owner: number): string {
  const secret = (name: string, { text }: Planted) => `{ file: ${file(name, `${text}\n`, 0o600, owner)} }`
  return `
  - { name: fleet, nats: { servers: ['tls://127.0.0.1:1'], nkey: ${secret('s1', sinks.nkey)} } }
  - { name: cloud, neutron: { brokers: ['amqps://127.0.0.1:1'], user: kw, password: ${secret('s2', sinks.rabbit)} } }
  - { name: pager, webhook: { url: 'https://127.0.0.1:1/', secret: ${secret('s3', sinks.webhook)}, allowNetworks: [127.0.0.0/8] } }`
}

function writeConfig(routers: readonly string[], senders: readonly string[] = [], sinksOf = ' []'): void {
  const text = `version: 1
agent: { id: kwt-${String(process.pid)}, user: ${String(uid ?? 0)} }
paths: { state: ${home}/state, run: ${home}/run, host: ${home}/host }
logging: { level: debug, routerIds: ${uid === undefined ? 'plain' : 'pseudonym'} }
stateChange: { senders: [${senders.join(', ')}] }
sinks:${sinksOf}
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
  const owner = uid ?? 0
  for (const name of uid === undefined ? [] : ['state', 'run']) {
    mkdirSync(join(home, name), { mode: 0o700 })
    chownSync(join(home, name), owner, owner)
  }
  if (uid !== undefined) file('../state/pseudonym.key', `${pseudonyms.text}\n`, 0o600, owner)
  file('p2', passwords.credential.text, 0o400)
  file('k2', keys.credential.text, 0o400, owner)
  const senders = [
    `file: ${file('k1', `${keys.file.text}\n`, 0o600, owner)}`,
    'credential: k2',
    `command: [${sayer('say-key', keys.command, 0, owner)}]`,
    'environment: KWT_K4',
  ].map((source, index) => `{ key: { id: k${String(index)}, ${source} }, routers: [r1] }`)
  writeConfig(
    sources.map((source, index) => router(index + 1, source())),
    senders,
    sinkLines(owner),
  )
  const ofRouters = { KWT_P4: passwords.environment.text }
  const ofAgent = { KWT_K4: keys.environment.text }
  if (uid === undefined) start('agent', { ...ofRouters, ...ofAgent })
  else {
    start('host', ofRouters)
    start('agent', ofAgent, uid)
  }
  const ended = () => processes.some(({ exitCode }) => exitCode !== null)
  await until('the agent answers, or one has ended', async () => ended() || status(), 20_000)
}

function start(command: 'agent' | 'host', secrets: Readonly<Record<string, string>>, as = 0): void {
  const env = { PATH: process.env['PATH'], CREDENTIALS_DIRECTORY: join(home, 'secrets'), ...secrets }
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
  const started = spawn(program, ['-c', join(home, 'agent.yaml'), command], { stdio, env, uid: as, gid: as, cwd: '/' })
  processes.push(started)
  for (const stream of ['stdout', 'stderr'] as const) {
    started[stream].on('data', (bytes: Buffer) => {
      hunt.look(`log of ${command}`, bytes)
    })
  }
}

const socket = () => join(home, 'run', 'control.sock')
const status = () => callAt<AgentStatus>(socket(), 'GET', '/v1/status')

const misplacedIn = (): readonly string[] => [
  router(1, `'${wrong.misplaced.text}'`),
  router(1, `{ password: '${wrong.misplaced.text}' }`),
  router(1, `{ passFile: '${wrong.misplaced.text}' }`),
  router(1, `{ pass: { environment: '${wrong.misplaced.text}!' } }`),
  router(1, `{ pass: { command: ['${wrong.misplaced.text}'] } }`),
  router(1, `{ hmac: { keys: [{ id: 1, file: 'hex:${wrong.inPlace.text}' }], activeKey: 1 } }`),
]

const allPlanted = [passwords, keys, wrong, sinks, { pseudonyms }].flatMap((group): Planted[] => Object.values(group))

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

/** Has all of it work, fail and refuse, and looks at everything that is said. */
async function goHunting(): Promise<void> {
  hunt = new Hunt(allPlanted)
  const sinceMs = Date.now()
  await startAgent()
  const master = readFileSync(join(home, 'state', 'state-change.key'), 'utf8').trim()
  const others = new Hunt([{ name: 'own key', text: master }])
  const ends = new AbortController()
  const watched = watchProcesses(hunt, pids(), ends.signal)
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
  await until('each sink has read its secret, and failed', async () => {
    const { sinks: all } = await status()
    return all.length === 3 && all.every(({ reason, lastError }) => reason !== undefined || lastError !== undefined)
  })
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
  await say('export', 'audit', '--export')
  await say('resolve', 'audit', 'resolve', 'r-0000000000000000', '--key-file', join(home, 'secrets', 'p1'))
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
    processes.at(-1)?.kill('SIGHUP')
  }
  hunt.look('status of refusals', JSON.stringify(await status()))
  await say('events', 'events', '--limit', '1000', '--json')
  ends.abort()
  await watched
  lookAtFiles(hunt, { home, sinceMs, isSource: (name) => name.startsWith('secrets/') || name === 'agent.yaml' })
  expect([...hunt.found, ...others.found]).toEqual([])
  const places = ['cmdline', 'environ', 'journal', 'metrics', 'refusals', 'explain', 'notify', 'export', 'events']
  for (const place of ['log of agent', ...(uid === undefined ? [] : ['log of host']), ...places])
    expect([place, hunt.seen.get(place)]).toEqual([place, expect.any(Number)])
}

const pids = (): number[] => processes.map(({ pid }) => pid ?? 0)

test(
  'no planted secret is in a log, an error, the journal, a metric, an answer, a process or a file',
  goHunting,
  120_000,
)

test('the same holds of two processes, and neither has what is the other’s', { timeout: 120_000 }, async () => {
  uid = 60_990
  await goHunting()
  const [host = 0, agent = 0] = pids()
  const ofRouters = new Hunt(Object.values(passwords))
  const ofAgent = new Hunt([...Object.values(keys), ...Object.values(sinks)])
  expect(lookAtMemory(ofRouters, agent)).toBeGreaterThan(1_000_000)
  expect(lookAtMemory(ofAgent, host)).toBeGreaterThan(1_000_000)
  expect([...ofRouters.found, ...ofAgent.found]).toEqual([])
  // Each is found where it belongs: a memory in which nothing can be found has proven nothing.
  lookAtMemory(ofRouters, host)
  lookAtMemory(ofAgent, agent)
  expect([ofRouters.found.size, ofAgent.found.size]).toEqual([4, 7])
  const digest = configHash(readFileSync(join(home, 'host', 'routers', 'r1', 'keepalived.conf'), 'utf8'))
  const knows = (pid: number) => {
    const guess = new Hunt([{ name: 'what a password could be guessed from', text: digest }])
    lookAtMemory(guess, pid)
    return guess.found.size
  }
  expect([knows(host), knows(agent)]).toEqual([1, 0])
  const events = await callAt<EventView[]>(socket(), 'GET', '/v1/events?limit=1000')
  const read = events.filter(({ body }) => body['change'] === 'secret-read')
  expect(new Set(read.map(({ router, body }) => [body['by'], router ?? '', body['source']].join(' ')))).toEqual(
    new Set([
      `agent  ${home}/state/state-change.key`,
      `agent  ${home}/state/pseudonym.key`,
      `agent  ${home}/secrets/k1`,
      'agent  the credential k2',
      `agent  what ${home}/secrets/say-key says`,
      'agent  the environment variable KWT_K4',
      ...['s1', 's2', 's3'].map((name) => `agent  ${home}/secrets/${name}`),
      `host r1 ${home}/secrets/p1`,
      'host r2 the credential p2',
      `host r3 what ${home}/secrets/say3 says`,
      'host r4 the environment variable KWT_P4',
    ]),
  )
})
