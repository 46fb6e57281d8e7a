import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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

function textWith(more = ''): string {
  const paths = `paths: { state: ${home}/state, run: ${home}/run }`
  return `version: 1\nagent: { id: kwt-${String(process.pid)} }\n${paths}\nlogging: { level: error }\n${more}routers: []\n`
}

/** Replaced as one step. */
function write(more = ''): void {
  writeFileSync(`${file}.new`, textWith(more), { mode: 0o644 })
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

async function startAgent(): Promise<void> {
  start('agent')
  await until('the agent answers', status)
}

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
  expect(await conditions()).toEqual(['config-not-applied', 'config-changed-on-disk'])
  chownSync(file, 0, 0)
  const answer = await ask<ApplyAnswer>('POST', '/v1/apply')
  expect(answer.restartFor).toEqual(['control'])
  expect(await conditions()).toEqual([])
  const self = { by: 'request', uid: 0, gid: 0 }
  expect((await configRecords(2)).map(({ body }) => body)).toMatchObject([
    { change: 'refused', code: 'config-unsafe', digest: null, ...self, pid: expect.any(Number) as number },
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
  expect(await conditions()).toEqual([])
  const records = (await configRecords(4)).map(({ body }) => `${String(body['code'])} ${String(body['key'])}`)
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
