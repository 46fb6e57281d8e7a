import { spawnSync } from 'node:child_process'
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventView } from '../../src/agent/api.ts'
import type { AuditView } from '../../src/cli/audit.ts'
import { renderEvent } from '../../src/cli/events.ts'
import { hostCapabilities } from '../../src/host/rights.ts'
import { signalAll } from '../../src/lab/processes.ts'
import { routerNamespace } from '../../src/lab/topology.ts'
import { commandLine } from '../../src/linux/process.ts'
import { readPrivileges } from '../../src/linux/privileges.ts'
import { labFor, program, type LabUnderTest } from '../support/lab.ts'
import { exchange, request } from '../support/state-change.ts'
import { until } from '../support/until.ts'

const uid = 60_990
let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('twoproc', { agentUid: uid })
})
afterAll(async () => {
  await it.down()
})

/** A line of /proc/PID/status, without its name. */
const statusOf = (pid: number, name: string): string =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? ''

test('the agent has neither root nor a capability, and its routers have a primary', async () => {
  await it.settled()
  for (const host of ['h1', 'h2']) {
    const pid = it.lab.agentPid(host)
    expect(statusOf(pid, 'Uid')).toBe(Array(4).fill(String(uid)).join('\t'))
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      expect(`${set} ${statusOf(pid, set)}`).toBe(`${set} 0000000000000000`)
    const root = readPrivileges(readFileSync(`/proc/${String(it.lab.rootHalfPid(host))}/status`, 'utf8'))
    expect(root.capabilities.filter((one) => !hostCapabilities.includes(one))).toEqual([])
    expect(statusOf(it.lab.rootHalfPid(host), 'Uid')).toBe(Array(4).fill('0').join('\t'))
  }
})

test('a role that moves is shown by the kernel watch while keepward-host is stopped', async () => {
  const primary = await it.settled()
  const other = primary === 'h1' ? 'h2' : 'h1'
  const roots = [primary, other].map((host) => it.lab.rootHalfPid(host))
  await signalAll(roots, 'SIGSTOP')
  try {
    it.lab.cut(primary)
    await until('the other is primary', async () => (await it.router(other)).role === 'primary')
  } finally {
    await signalAll(roots, 'SIGCONT')
    it.lab.heal()
  }
  await it.settled()
})

test('when keepward-host dies the roles stay, the agent says so, and goes on once it is back', async () => {
  const primary = await it.settled()
  const pids = it.lab.keepalivedPids(primary, 'r1')
  await signalAll([it.lab.rootHalfPid(primary)], 'SIGKILL')
  await until('it is said', async () =>
    (await it.status(primary)).conditions.some(({ code }) => code === 'host-unreachable'),
  )
  expect((await it.router(primary)).role).toBe('primary')
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
  it.lab.startRootHalf(primary)
  await until('it is over', async () => (await it.status(primary)).conditions.length === 0)
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
  await it.lab.killKeepalived(primary, 'r1')
  await until('it is started again', () => it.lab.keepalivedPids(primary, 'r1')[0] !== pids[0])
  await it.settled()
})

test('when the agent dies and comes back, keepalived and its namespace have stayed', async () => {
  const primary = await it.settled()
  await it.noCondition(primary)
  const pids = it.lab.keepalivedPids(primary, 'r1')
  await it.lab.killAgent(primary)
  it.lab.startAgent(primary)
  await until('the agent answers', async () => (await it.router(primary)).role === 'primary', 20_000)
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
})

test('when both are killed and started again, keepalived, its namespace and its role have stayed', async () => {
  const primary = await it.settled()
  const pids = it.lab.keepalivedPids(primary, 'r1')
  const after = await it.lastSeq(primary)
  await signalAll([it.lab.agentPid(primary), it.lab.rootHalfPid(primary)], 'SIGKILL')
  it.lab.startAgent(primary)
  await until('the agent answers', async () => (await it.router(primary)).role === 'primary', 20_000)
  expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
  expect(await it.transitions(primary, 'r1', after)).toEqual([])
})

test('both halves started anew go on with the config in force, whatever the file has become since', async () => {
  const primary = await it.settled()
  const { config, directory } = it.lab.host(primary)
  const text = readFileSync(config, 'utf8')
  writeFileSync(config, text.replaceAll('198.51.100.', '203.0.113.').replace('/host }', '/elsewhere }'))
  await signalAll([it.lab.rootHalfPid(primary)], 'SIGKILL')
  it.lab.startRootHalf(primary)
  const codes = async () => (await it.status(primary)).conditions.map(({ code }) => code)
  await until('all but the file is well', async () => (await codes()).join() === 'config-changed-on-disk')
  await it.lab.killKeepalived(primary, 'r1')
  await until('it is started again', () => it.lab.keepalivedPids(primary, 'r1').length === 2)
  writeFileSync(config, 'nobody has applied: [this')
  await signalAll([it.lab.agentPid(primary), it.lab.rootHalfPid(primary)], 'SIGKILL')
  it.lab.startAgent(primary)
  await until('both are back', async () => (await codes()).join() === 'config-changed-on-disk', 20_000)
  expect(existsSync(`${directory}/elsewhere`)).toBe(false)
  writeFileSync(config, text)
  await until('nothing is to be said', async () => (await codes()).length === 0)
})

/** This process, as a record names it. */
const us = { executable: realpathSync(process.execPath), executableBy: 'connection' }

/** What code gets that runs as the agent does. */
function asAgent(command: string): { readonly status: number; readonly said: string } {
  const words = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', 'sh', '-c', command]
  const { status, stdout, stderr } = spawnSync('setpriv', words, { encoding: 'utf8', timeout: 10_000 })
  return { status: status ?? -1, said: stdout + stderr }
}

test('code that runs as the agent reaches no namespace, no process and no file of the root half', async () => {
  const primary = await it.settled()
  const [pid = 0] = it.lab.keepalivedPids(primary, 'r1')
  const { directory } = it.lab.host(primary)
  const namespace = routerNamespace(it.name, primary, 'r1')
  const root = it.lab.rootHalfPid(primary)
  const rendered = commandLine(pid)?.find((word) => word.endsWith('.conf')) ?? ''
  expect(readFileSync(rendered, 'utf8')).toContain('vrrp_instance')
  for (const command of [
    `kill -TERM ${String(pid)}`,
    `kill -TERM ${String(root)}`,
    `ip netns exec ${namespace} true`,
    `nsenter --net=/run/netns/${namespace} true`,
    `cat /proc/${String(root)}/environ`,
    `cat /proc/${String(root)}/mem`,
    `ls ${directory}/host`,
    `cat ${rendered}`,
    `echo x > ${directory}/host/x`,
    `rm ${directory}/host/keepward-host.socket`,
    `echo x >> ${directory}/agent.yaml`,
    `ip -n ${namespace} link set ha0 down`,
  ]) {
    const { status, said } = asAgent(command)
    expect([command, status !== 0, /[Pp]ermission denied|not permitted/.test(said)]).toEqual([command, true, true])
  }
  expect(it.lab.keepalivedPids(primary, 'r1')[0]).toBe(pid)
})

test('what keepward-host refuses is in the journal: for whom, what, on which router and why', async () => {
  const primary = await it.settled()
  const after = await it.lastSeq(primary)
  const path = `${it.lab.host(primary).directory}/host/keepward-host.socket`
  const hostile = { id: 1, verb: 'start-keepalived', router: 'r1', path: '/etc/shadow' }
  await exchange(path, `${JSON.stringify(hostile)}\n`)
  const record = await until('it is in the journal', async () =>
    (await it.events(primary, undefined, after)).find(({ kind }) => kind === 'refusal'),
  )
  expect(record.body).toEqual({
    decision: 'host-refused',
    reason: 'request-malformed',
    text: 'a request is not of a form that there is',
    operation: 'start-keepalived',
    router: 'r1',
    uid: 0,
    gid: 0,
    pid: process.pid,
    ...us,
    count: 1,
  })
  await until('the link is whole', async () => (await it.status(primary)).conditions.length === 0)
  expect(renderEvent(record)).toContain(' refused by keepward-host: start-keepalived r1: a request is not of a form')
})

test('the journal has what those run who are refused, who speak for the first time and who apply a config', async () => {
  const primary = await it.settled()
  const after = await it.lastSeq(primary)
  const path = `${it.lab.host(primary).directory}/state/keepalived-state-change`
  const who = { uid: 0, gid: 0, pid: process.pid, ...us }
  expect(await exchange(path, request({ 'X-Neutron-State': 'no state' }))).toContain('400')
  for (let n = 0; n < 3; n++) expect(await exchange(path, request())).toContain('200')
  await it.apply(primary)
  const written = await until('all is written', async () => {
    const events = await it.events(primary, undefined, after)
    const found = events.filter(
      ({ kind, body }) => kind === 'refusal' || kind === 'config' || body['change'] === 'sender-seen',
    )
    return found.length >= 4 && found
  })
  expect(written.map(({ kind, body }) => [kind, body])).toEqual([
    ['refusal', expect.objectContaining({ reason: 'state-malformed', ...who })],
    ['agent', { change: 'sender-seen', controlGroup: expect.any(String) as string, ...who }],
    ['config', expect.objectContaining({ change: 'applying', by: 'request', ...who })],
    ['config', expect.objectContaining({ change: 'loaded', by: 'request', ...who })],
  ])
})

describe('the journal is signed by root, and proven by keepward audit', () => {
  /** As the agent's user: the anchors are for everybody to read, a journal for its owner. */
  const audit = (...words: string[]) => {
    const as = { uid, gid: uid, encoding: 'utf8', timeout: 60_000 } as const
    const { status, stdout, stderr } = spawnSync(program, ['--json', ...words], as)
    return { status, view: (stdout === '' ? {} : JSON.parse(stdout)) as Partial<AuditView>, stderr }
  }
  const directoryOf = (host: string) => it.lab.host(host).directory

  test('while the agent runs, up to a moment ago', async () => {
    const lastSeq = await it.lastSeq('h1')
    await until('all is signed', () => {
      const { status, view, stderr } = audit('-c', it.lab.host('h1').config, 'audit', '--verify')
      expect([status === 0 || status === 1, stderr]).toEqual([true, ''])
      return (view.proven?.seq ?? 0) >= lastSeq
    })
    const anchors = `${directoryOf('h1')}/state-anchors`
    expect(statSync(anchors)).toMatchObject({ uid: 0, mode: 0o40755 })
    expect(statSync(`${anchors}/anchor.key`)).toMatchObject({ uid: 0, mode: 0o100600 })
    expect(await it.conditions('h1')).not.toContain('raised journal-unanchored')
    const words = ['-c', it.lab.host('h1').config, 'audit', '--export']
    const { stdout } = spawnSync(program, words, { uid, gid: uid, encoding: 'utf8' })
    const lines = stdout.split('\n').slice(0, -1)
    const seqs = lines.map((line) => (JSON.parse(line) as EventView).seq)
    expect(seqs.length).toBeGreaterThanOrEqual(lastSeq)
    expect(seqs).toEqual(seqs.map((_seq, index) => index + 1))
  })

  test('what the agent’s user makes of the file afterwards is found', async () => {
    await it.lab.killAgent('h1')
    const file = `${directoryOf('h1')}/state/journal.sqlite`
    const verify = () => audit('-c', it.lab.host('h1').config, 'audit', '--verify', '--file', file)
    const { view, stderr } = verify()
    expect([view, stderr]).toMatchObject([{ ok: true, fromSeq: 1 }, ''])
    const log = new DatabaseSync(file)
    log.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    log.close()
    const copy = readFileSync(file)
    const db = new DatabaseSync(file)
    const cutAt = (view.proven?.seq ?? 0) - 1
    db.exec(`DELETE FROM records WHERE seq > ${String(cutAt - 1)}; DELETE FROM routers`)
    db.close()
    const cut = verify()
    expect(cut).toMatchObject({ status: 2, view: { ok: false, broken: { brokenAtSeq: cutAt } } })
    writeFileSync(file, copy)
    expect(verify().view).toMatchObject({ ok: true })
    it.lab.startAgent('h1')
    await until('the agent answers', async () => !(await it.router('h1')).stale, 20_000)
  })

  test('a journal that is gone is found by its anchors, until root has moved them aside', async () => {
    const { journal } = (await it.status('h1')).agent
    const verify = (...words: string[]) => audit('-c', it.lab.host('h1').config, 'audit', '--verify', ...words)
    await it.lab.killAgent('h1')
    const directory = directoryOf('h1')
    const gone = `${directory}/gone`
    mkdirSync(gone)
    chownSync(gone, uid, uid)
    for (const name of readdirSync(`${directory}/state`).filter((one) => one.startsWith('journal')))
      renameSync(`${directory}/state/${name}`, `${gone}/${name}`)
    it.lab.startAgent('h1')
    await until('the agent answers', async () => !(await it.router('h1')).stale, 20_000)
    const found = await until('the new one is signed', () => {
      const one = verify()
      return one.view.proven !== undefined && one
    })
    expect(found).toMatchObject({ status: 2, view: { ok: false, missing: [{ journal }] } })
    expect(found.view.broken).toBeUndefined()
    const anchors = `${directory}/state-anchors`
    mkdirSync(`${anchors}/aside`)
    copyFileSync(`${anchors}/anchor.pub`, `${anchors}/aside/anchor.pub`)
    renameSync(`${anchors}/${journal}.anchors`, `${anchors}/aside/${journal}.anchors`)
    expect(verify().view).toMatchObject({ ok: true, missing: [] })
    const aside = verify('--file', `${gone}/journal.sqlite`, '--anchors', `${anchors}/aside/${journal}.anchors`)
    expect(aside.view).toMatchObject({ ok: true, journal })
  })
})
