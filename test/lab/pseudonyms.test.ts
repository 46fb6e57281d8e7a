import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { request as ask } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EventView } from '../../src/agent/api.ts'
import { pseudonymOf } from '../../src/agent/pseudonym.ts'
import { keyIn } from '../../src/cli/key-file.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { labFor, program, type LabUnderTest } from '../support/lab.ts'
import { exchange, request } from '../support/state-change.ts'
import { until } from '../support/until.ts'

const unknown = '5f1d7a52-0c4e-4f0e-8a55-3d2b6c1e9f70'
const neverRun = 'planted-never-run'
/** What a sender, a client and an operator wrote; none of it is for a log, at no level and in no mode. */
const planted = { header: 'plantedheader', body: 'plantedbody', config: 'plantedconfig' }
let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('pseudo', {
    agentUid: 60_989,
    config: (text, { name }) => {
      const logging = `{ level: trace, routerIds: ${name === 'h1' ? 'pseudonym' : 'plain'} }`
      const more = `logging: ${logging}\nstateChange: { unknownRouters: strict }\n# ${planted.config}\nrouters:`
      return text.replace('routers:', more)
    },
  })
})
afterAll(async () => {
  await it.down()
})

const key = () => keyIn(`${it.lab.host('h1').directory}/state/pseudonym.key`)
const isNamed = (text: string): boolean => /(?<![A-Za-z0-9])r1(?![A-Za-z0-9])/.test(text)
const keepward = (...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, ['-c', it.lab.host('h1').config, ...words], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

/** Everything that makes lines: roles, conditions, refusals, an error in a router's work, a config that is refused, both processes anew. */
async function live(host: 'h1' | 'h2'): Promise<void> {
  const { directory, socket, config } = it.lab.host(host)
  const socketPath = `${directory}/state/keepalived-state-change`
  const send = (headers: Record<string, string>) =>
    exchange(socketPath, request({ 'X-Planted': planted.header, ...headers }))
  expect(await send({ 'X-Neutron-State': planted.header })).toContain('400')
  expect(await send({ 'X-Neutron-Router-Id': unknown })).toContain('404')
  await exchange(
    `${directory}/host/keepward-host.socket`,
    `{"id":1,"verb":"start-keepalived","router":"r1","path":"/x"}\n`,
  )
  await new Promise((resolve) => {
    const sent = ask(
      { socketPath: socket, method: 'POST', path: '/v1/nowhere', headers: { 'x-planted': planted.header } },
      resolve,
    )
    sent.end(planted.body)
  })
  const good = readFileSync(config, 'utf8')
  it.editConfig(host, (text) => text.replace('vrid: 1', `vrid: ${neverRun}`))
  await expect(it.apply(host)).rejects.toMatchObject({ code: 'config-invalid' })
  process.kill(it.lab.agentPid(host), 'SIGHUP')
  await until('the signal is answered', () => it.log(host).includes('SIGHUP: config not applied'))
  it.editConfig(host, () => good)
  await it.lab.killKeepalived(host, 'r1')
  await it.settled()
  it.lab.cut(host)
  await until('both are primary', async () => (await it.router('h1')).role === (await it.router('h2')).role)
  it.lab.heal()
  await it.settled()
  const pids = [it.lab.agentPid(host), it.lab.rootHalfPid(host)]
  await signalAll(pids, 'SIGTERM')
  it.lab.startAgent(host)
  await it.answers(host)
  await it.settled()
  await it.noCondition(host)
}

test('a log with pseudonyms tells no router id, through all that happens, and always calls a router the same', async () => {
  await it.settled()
  await live('h1')
  const log = it.log('h1')
  const lines = log.split('\n').slice(0, -1)
  expect(lines.filter((line) => isNamed(line) || line.includes(unknown) || line.includes(neverRun))).toEqual([])
  const of = (message: string) =>
    lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message)
  const roles = of('role changed')
  expect(roles.length).toBeGreaterThanOrEqual(3)
  expect(new Set(roles.map(({ router }) => router))).toEqual(new Set([pseudonymOf(key(), 'r1')]))
  expect(of('state change refused').map(({ state }) => state)).toEqual([null, 'primary'])
  expect(of('state change refused').map(({ router }) => router)).toEqual(
    ['r1', unknown].map((id) => pseudonymOf(key(), id)),
  )
  for (const message of ['condition raised', 'config refused; the one before stays in force', 'root half refused'])
    expect([message, of(message).length > 0]).toEqual([message, true])
  expect(of('agent ready')).toHaveLength(2)
  expect(log).not.toContain('r-without-key')
  const file = `${it.lab.host('h1').directory}/state/pseudonym.key`
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600')
})

test('a log without them does, so that the test above would have found it; neither holds what others wrote', async () => {
  await live('h2')
  const log = it.log('h2')
  expect([isNamed(log), log.includes(unknown)]).toEqual([true, true])
  expect(log).toContain('config refused')
  expect(log).not.toContain(neverRun)
  expect(existsSync(`${it.lab.host('h2').directory}/state/pseudonym.key`)).toBe(false)
  for (const text of [log, it.log('h1')]) expect(Object.values(planted).filter((one) => text.includes(one))).toEqual([])
})

test('exported audit tells none either, and who has the key resolves what it tells', async () => {
  const { status, stdout } = keepward('audit', '--export')
  const lines = stdout.split('\n').slice(0, -1)
  const events = lines.map((line) => JSON.parse(line) as EventView)
  expect([status, events.length >= (await it.lastSeq('h1'))]).toEqual([0, true])
  expect(lines.filter((line) => isNamed(line) || line.includes(unknown) || line.includes(neverRun))).toEqual([])
  expect(lines.filter((line) => /"(?:hash|previous)":/.test(line))).toEqual([])
  expect(new Set(events.map(({ kind }) => kind))).toEqual(
    new Set(['agent', 'transition', 'condition', 'config', 'operation', 'refusal']),
  )
  const router = events.find(({ kind }) => kind === 'transition')?.router ?? ''
  expect(keepward('audit', 'resolve', router, pseudonymOf(key(), unknown))).toEqual({
    status: 0,
    stdout: `${router}  r1\n${pseudonymOf(key(), unknown)}  ${unknown}\n`,
    stderr: '',
  })
  const other = 'r-0000000000000000'
  const says = `${other}  not known: the pseudonym, by this key, of none of 2 ids that config and journal name\n`
  expect(keepward('audit', 'resolve', other)).toEqual({ status: 1, stdout: says, stderr: '' })
  expect(isNamed(keepward('audit', '--export', '--router-ids', 'plain').stdout)).toBe(true)
  expect(keepward('audit', 'resolve', 'r1')).toMatchObject({ status: 64 })
})

test('who may not read the key gets nothing', () => {
  const words = ['-c', it.lab.host('h1').config, 'audit', '--export']
  const { status, stdout, stderr } = spawnSync(program, words, { uid: 65_534, gid: 65_534, encoding: 'utf8' })
  expect([status, stdout, stderr]).toEqual([4, '', expect.stringContaining('it is for root and the agent’s own user')])
})
