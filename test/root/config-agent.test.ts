import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AgentStatus, ApplyAnswer, EventView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { endChild } from '../support/child.ts'
import { program } from '../support/lab.ts'
import { until } from '../support/until.ts'

/** The program as it is shipped, on a config of its own without routers. */
let home: string
let file: string
let running: ChildProcess[]

beforeEach(() => {
  home = mkdtempSync('/tmp/kwt-cfg-')
  file = `${home}/agent.yaml`
  running = []
  write()
})
afterEach(async () => {
  for (const child of running) await endChild(child)
  rmSync(home, { recursive: true, force: true })
})

function textWith(more = '', run = `${home}/run`): string {
  const paths = `paths: { state: ${home}/state, run: ${run} }`
  return `version: 1\nagent: { id: kwt-${String(process.pid)} }\n${paths}\nlogging: { level: error }\n${more}routers: []\n`
}

/** Replaced as one step. */
function write(more = '', run?: string): void {
  writeFileSync(`${file}.new`, textWith(more, run), { mode: 0o644 })
  renameSync(`${file}.new`, file)
}

interface Started {
  readonly child: ChildProcess
  /** What it says on standard error. */
  readonly said: () => string
}

function start(...words: readonly string[]): Started {
  const child = spawn(program, ['-c', file, ...words], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 50_000 })
  running.push(child)
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  return { child, said: () => said }
}

/** Exit status and standard error of a command that ends by itself. */
async function ended(...words: readonly string[]): Promise<readonly [number | null, string]> {
  const { child, said } = start(...words)
  await once(child, 'close')
  return [child.exitCode, said()]
}

const ask = <T>(method: 'GET' | 'POST', path: string): Promise<T> => callAt<T>(`${home}/run/control.sock`, method, path)
const status = () => ask<AgentStatus>('GET', '/v1/status')
const conditions = async () => (await status()).conditions.map(({ code }) => code)

/** What the journal says of loads and refusals, once it has that many; an answer does not wait for the disk. */
async function configRecords(count: number): Promise<EventView[]> {
  let found: EventView[] = []
  await until(`${String(count)} records`, async () => {
    const events = await ask<EventView[]>('GET', '/v1/events?limit=1000')
    found = events.filter(({ kind }) => kind === 'config')
    return found.length >= count
  })
  return found
}

async function startAgent(): Promise<ChildProcess> {
  const { child } = start('agent')
  await until('the agent answers', status)
  await until('its config is kept', async () => {
    const copy = `${file}.applied`
    return existsSync(copy) && digestOf(readFileSync(copy, 'utf8')) === (await digest())
  })
  return child
}

/** As a crash and what starts it again. */
async function startAnew(agent: ChildProcess): Promise<ChildProcess> {
  agent.kill('SIGKILL')
  await once(agent, 'exit')
  return startAgent()
}

const digest = async () => (await status()).agent.configDigest
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')

test('an agent does not start with a config that others can write, and `validate` still reads it', async () => {
  chmodSync(file, 0o666)
  const [code, said] = await ended('agent')
  expect([code, said]).toEqual([
    4,
    `keepward: The configuration is not root’s alone: Others can write ${file}: mode 0666 (it must be a file with one name that belongs to root and is writable by no one else) [config-unsafe]\n`,
  ])
  expect(await ended('validate')).toEqual([0, ''])
})

test('a running agent refuses to plan and to apply a config that is another user’s, says so, and runs on', async () => {
  await startAgent()
  const before = (await status()).agent.configDigest
  write('control: { metricsPort: 9899 }\n')
  chownSync(file, 65_534, 65_534)
  await until('the change shows', async () => (await conditions()).includes('config-changed-on-disk'), 4000)
  for (const verb of ['plan', 'apply']) {
    const [code, said] = await ended(verb)
    expect([code, said]).toEqual([4, expect.stringContaining(`${file} belongs to uid 65534`)])
  }
  expect((await status()).agent.configDigest).toBe(before)
  // A disk that stalls shows too, for as long as it does.
  await until(
    'nothing else shows',
    async () => String(await conditions()) === 'config-not-applied,config-changed-on-disk',
  )
  chownSync(file, 0, 0)
  const answer = await ask<ApplyAnswer>('POST', '/v1/apply')
  expect(answer.restartFor).toEqual(['control'])
  await until('nothing shows', async () => (await conditions()).length === 0)
  const self = { by: 'request', uid: 0, gid: 0 }
  expect((await configRecords(4)).map(({ body }) => body)).toMatchObject([
    { change: 'planned', count: 1, ...self },
    { change: 'refused', code: 'config-unsafe', digest: null, ...self, pid: expect.any(Number) as number },
    { change: 'applying', digest: answer.configDigest, ...self, pid: process.pid },
    { change: 'loaded', digest: answer.configDigest, ...self, pid: process.pid },
  ])
})

test('a change on disk shows within a second, and is applied by itself only where the running config says so', async () => {
  await startAgent()
  write('config: { applyChanges: true }\n')
  const from = performance.now()
  await until('the change shows', async () => (await conditions()).includes('config-changed-on-disk'))
  expect(performance.now() - from).toBeLessThan(1000)
  const { configDigest } = await ask<ApplyAnswer>('POST', '/v1/apply')
  write('config: { applyChanges: true }\nreconcile: { intervalMs: 5000 }\n')
  await until('it is applied', async () => (await status()).agent.configDigest !== configDigest)
  await until('all is well', async () => (await conditions()).length === 0)
})

test('once keys lie beside the config, a file without their signature is refused at the start and later; what runs stays', async () => {
  const keys = `${home}/keys`
  const sign = () => ended('config', 'sign', '--key', `${keys}/config-signing.key`)
  expect((await ended('config', 'keygen', keys))[0]).toBe(0)
  copyFileSync(`${keys}/config-signing.pub`, `${home}/config-signing.pub`)
  write('config: { requireSignature: true }\n')
  expect(await ended('agent')).toEqual([4, expect.stringContaining(`${file} has no signature`)])
  expect(await sign()).toEqual([0, ''])
  expect(await ended('config', 'verify')).toEqual([0, ''])
  await startAgent()
  const before = (await status()).agent.configDigest
  renameSync(`${home}/config-signing.pub`, `${home}/taken-away`)
  await until('that shows', async () => (await conditions()).includes('config-changed-on-disk'), 4000)
  expect((await status()).conditions[0]?.text).toBe(
    'The file is what runs, but its signature or the public keys beside it are others than when it was loaded',
  )
  renameSync(`${home}/taken-away`, `${home}/config-signing.pub`)
  await until('that ends', async () => (await conditions()).length === 0, 4000)
  write('reconcile: { intervalMs: 5000 }\n')
  for (const words of [['plan'], ['apply'], ['config', 'verify']]) {
    expect(await ended(...words)).toEqual([4, expect.stringContaining(`${file}.sig is not of ${file} as it is now`)])
  }
  rmSync(`${file}.sig`)
  expect(await ended('apply')).toEqual([4, expect.stringContaining(`${file} has no signature`)])
  rmSync(`${home}/config-signing.pub`)
  expect(await ended('apply')).toEqual([4, expect.stringContaining('the config that runs was signed')])
  expect((await status()).agent.configDigest).toBe(before)
  expect(await conditions()).toEqual(['config-not-applied', 'config-changed-on-disk'])
  copyFileSync(`${keys}/config-signing.pub`, `${home}/config-signing.pub`)
  await sign()
  expect(await ended('apply')).toEqual([0, ''])
  await until('nothing shows', async () => (await conditions()).length === 0)
  const applied = (await configRecords(6)).filter(
    ({ body }) => !['planned', 'applying'].includes(String(body['change'])),
  )
  const records = applied.map(({ body }) => `${String(body['code'])} ${String(body['key'])}`)
  const events = await ask<EventView[]>('GET', '/v1/events?limit=1000')
  const key = String(events.find(({ kind }) => kind === 'agent')?.body['configKey'])
  expect(key).toMatch(/^[0-9a-f]{16}$/)
  expect(records).toEqual([
    'config-signature-wrong undefined',
    'config-unsigned undefined',
    'config-key-unusable undefined',
    `undefined ${key}`,
  ])
})

test('the journal says with what rights the agent runs, and which keys it has read', async () => {
  write()
  await startAgent()
  const records = async () =>
    (await ask<EventView[]>('GET', '/v1/events?limit=1000')).filter(({ kind }) => kind === 'agent')
  await until('both are written', async () => (await records()).some(({ body }) => body['change'] === 'secret-read'))
  expect((await records()).map(({ body }) => body)).toMatchObject([
    { change: 'started', uid: 0, gid: 0, capabilities: expect.stringMatching(/^CAP_CHOWN .*CAP_SYS_ADMIN/) as string },
    { change: 'secret-read', by: 'agent', of: 'master', source: `${home}/state/state-change.key` },
  ])
  // One that is root signs for itself, by the same code.
  await until('it is signed', async () => (await ended('audit', '--verify'))[0] === 0)
})

test('a start takes what was applied last, whatever the file has become, until somebody applies that', async () => {
  let agent = await startAgent()
  const applied = await digest()
  expect(applied).toBe(digestOf(textWith()))
  write('journal: { retainDays: 77 }\n')
  agent = await startAnew(agent)
  expect(await digest()).toBe(applied)
  await until('that shows', async () => (await conditions()).join() === 'config-changed-on-disk')
  writeFileSync(file, 'nonsense: [', { mode: 0o644 })
  agent = await startAnew(agent)
  expect(await digest()).toBe(applied)
  write('journal: { retainDays: 77 }\n')
  expect(await ended('apply')).toEqual([0, ''])
  await startAnew(agent)
  expect(await digest()).toBe(digestOf(textWith('journal: { retainDays: 77 }\n')))
  await until('all is well', async () => (await conditions()).length === 0)
  expect((await configRecords(2)).map(({ body }) => `${String(body['change'])} ${String(body['by'])}`)).toEqual([
    'applying request',
    'loaded request',
  ])
})

test('paths that are applied are those of the next start, and commands find the agent at both', async () => {
  const agent = await startAgent()
  write(`audit: { syslogSocket: ${home}/log }\n`, `${home}/run2`)
  expect((await ask<ApplyAnswer>('POST', '/v1/apply')).restartFor).toEqual(['paths', 'audit'])
  await until('nothing shows', async () => (await status()).conditions.length === 0)
  agent.kill('SIGKILL')
  await once(agent, 'exit')
  start('agent')
  await until('it answers at the other place', async () => (await ended('status'))[0] !== 3, 20_000)
  const { agent: now } = await callAt<AgentStatus>(`${home}/run2/control.sock`, 'GET', '/v1/status')
  expect(now.configDigest).toBe(digestOf(textWith(`audit: { syslogSocket: ${home}/log }\n`, `${home}/run2`)))
})

test('where the copy of what was applied cannot be used the file is taken, which is recorded and shown', async () => {
  const agent = await startAgent()
  const before = await digest()
  chmodSync(`${file}.applied`, 0o666)
  write('reconcile: { intervalMs: 5000 }\n')
  await startAnew(agent)
  await until('that shows', async () => (await conditions()).includes('config-taken-at-start'))
  expect((await configRecords(1))[0]?.body).toMatchObject({
    change: 'loaded',
    by: 'start',
    from: 'unusable-copy',
    digest: digestOf(textWith('reconcile: { intervalMs: 5000 }\n')),
    text: expect.stringContaining('Others can write') as string,
  })
  expect(await digest()).not.toBe(before)
  expect(await ended('apply')).toEqual([0, ''])
  await until('nothing shows', async () => (await conditions()).length === 0)
})

test('who spoils the copy of a signed config does not get an unsigned one started', async () => {
  const keys = `${home}/keys`
  await ended('config', 'keygen', keys)
  copyFileSync(`${keys}/config-signing.pub`, `${home}/config-signing.pub`)
  await ended('config', 'sign', '--key', `${keys}/config-signing.key`)
  const agent = await startAgent()
  writeFileSync(`${file}.applied`, textWith('reconcile: { intervalMs: 6000 }\n'), { mode: 0o644 })
  rmSync(`${home}/config-signing.pub`)
  write('reconcile: { intervalMs: 5000 }\n')
  agent.kill('SIGKILL')
  await once(agent, 'exit')
  rmSync(`${file}.applied`)
  writeFileSync(`${file}.applied`, 'nonsense: [', { mode: 0o644 })
  expect(await ended('agent')).toEqual([4, expect.stringContaining('the config that runs was signed')])
})

test('a start takes a changed file where the config that was applied says so, and after a teardown', async () => {
  write('config: { applyChanges: true }\n')
  let agent = await startAgent()
  agent.kill('SIGKILL')
  await once(agent, 'exit')
  write('config: { applyChanges: false }\n')
  agent = await startAgent()
  expect(await digest()).toBe(digestOf(textWith('config: { applyChanges: false }\n')))
  expect((await configRecords(1))[0]?.body).toMatchObject({ by: 'start', from: 'changed-file' })
  write('reconcile: { intervalMs: 5000 }\n')
  agent = await startAnew(agent)
  expect(await digest()).toBe(digestOf(textWith('config: { applyChanges: false }\n')))
  await endChild(agent)
  expect(await ended('agent', '--teardown')).toEqual([0, ''])
  await startAgent()
  expect(await digest()).toBe(digestOf(textWith('reconcile: { intervalMs: 5000 }\n')))
})

test('a directory that takes no copy is said, as the next start takes the file then', async () => {
  mkdirSync(`${file}.applied.sig`)
  mkdirSync(`${file}.applied.sig/x`)
  start('agent')
  await until('the agent answers', status)
  await until('it is said', async () => (await conditions()).join() === 'config-not-kept')
})
