import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { clientNamespace, innerNamespace } from '../../src/lab/topology.ts'
import { findByArgument } from '../../src/linux/process.ts'
import { startDownload, startSource, type Download } from '../support/download.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

const server = '198.51.100.250'
const inside = '10.9.0.250'
let it: LabUnderTest
let source: ChildProcess

beforeAll(async () => {
  it = await labFor('flows', {
    innerNetwork: true,
    config: (text) => `${text}
    nat: { source: [{ from: [10.9.0.0/24], to: 198.51.100.1 }] }
    connectionTracking: {}
`,
  })
  source = await startSource(clientNamespace(it.name))
})
afterAll(async () => {
  source.kill()
  await it.down()
})

const hosts = ['h1', 'h2'] as const
const conntrackdOn = (host: string): number[] =>
  findByArgument(`${it.lab.host(host).directory}/run/routers/r1/conntrackd.conf`, 'conntrackd')

/** The TCP flows from inside that a host's kernel knows, each by its state and source port. */
const flowsOn = (host: string): string[] =>
  ip('netns', 'exec', it.namespace(host), 'conntrack', '-L', '-p', 'tcp', '-s', inside)
    .split('\n')
    .flatMap((line) => /^tcp +6 \d+ (\w+) src=.*? sport=(\d+) /.exec(line)?.slice(1, 3).join(' ') ?? [])

const nsExec = (host: string, ...words: string[]): string => ip('netns', 'exec', it.namespace(host), ...words)
const holds = (host: string): boolean => it.ip(host, 'r1', 'address', 'show', 'dev', 'ha0').includes('169.254.0.1/')
const holder = (): string => hosts.find(holds) ?? 'nobody'
const knows = (host: string, from: string): boolean =>
  nsExec(host, 'conntrack', '-L', '-p', 'tcp', '-s', from).includes(from)
const conntrackdSays = (host: string, word: string): string =>
  nsExec(host, 'conntrackd', '-C', `${it.lab.host(host).directory}/run/routers/r1/conntrackd.conf`, word)

/** A flow that nobody has, in the words of conntrack(8). */
const staleFlow = (from: string): string[] =>
  `-p tcp -s ${from} -d ${server} --sport 7777 --dport 80 --state ESTABLISHED -t 600 -u ASSURED,SEEN_REPLY`.split(' ')

/** Each host has one conntrackd, which was told its role. */
const ready = () =>
  until('conntrackd runs on both hosts and knows its role', async () => {
    for (const host of hosts) {
      const { evidence } = await it.explain(host)
      const { role } = await it.router(host)
      const follows = evidence.find(({ what }) => what === 'follows: conntrackd')?.found
      if (conntrackdOn(host).length !== 1 || follows?.startsWith(role) !== true) return false
    }
    return true
  })

/** A download that both hosts know of. */
async function download(): Promise<Download> {
  const one = await startDownload(innerNamespace(it.name), server)
  const flow = `ESTABLISHED ${String(one.localPort)}`
  await until('both hosts know of it', () => hosts.every((host) => flowsOn(host).includes(flow)), 5000)
  return one
}

beforeEach(async () => {
  for (const host of hosts) it.lab.startAgent(host)
  await it.settled()
  await ready()
})

test('a download through NAT survives three failovers, each way', async () => {
  using one = await download()
  const gaps: number[] = []
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(it.other(primary), 'primary')
    await it.role(primary, 'backup')
    await one.goesOn()
    await ready()
    gaps.push(one.longestGapMs())
    for (const host of hosts) await it.noCondition(host)
  }
  expect(one.localPort).toBeGreaterThan(0)
  console.info(`longest pause of the download, ms: ${gaps.join(', ')}`)
})

test('a download survives three failovers with the agents of both hosts dead', async () => {
  using one = await download()
  for (const host of hosts) await it.lab.killAgent(host)
  for (let round = 0; round < 3; round++) {
    const primary = holder()
    const heir = it.other(primary)
    it.ip(primary, 'r1', 'link', 'set', 'ha0', 'down')
    await until('the other holds the address', () => !holds(primary) && holds(heir))
    it.ip(primary, 'r1', 'link', 'set', 'ha0', 'up')
    await one.goesOn()
  }
})

test('a download survives the death of its host, with the agents of both hosts dead', async () => {
  using one = await download()
  const primary = await it.settled()
  for (const host of hosts) await it.lab.killAgent(host)
  await it.lab.killHost(primary)
  await one.goesOn()
  // What comes back knows nothing, and learns it all.
  it.lab.startHost(primary)
  await until('the dead host knows of it', () => flowsOn(primary).includes(`ESTABLISHED ${String(one.localPort)}`), 30_000)
})

test('conntrackd that is killed is started again within 1 s, and learns what it has missed', async () => {
  using one = await download()
  const primary = await it.settled()
  for (const host of [it.other(primary), primary]) {
    const [pid = 0] = conntrackdOn(host)
    const flow = `ESTABLISHED ${String(one.localPort)}`
    process.kill(pid, 'SIGKILL')
    if (host !== primary) nsExec(host, 'conntrack', '-F')
    await until('another one runs', () => conntrackdOn(host).some((other) => other !== pid), 1000)
    await until('both know of the download', () => hosts.every((each) => flowsOn(each).includes(flow)), 3000)
    await ready()
    await it.noCondition(host)
  }
  await one.goesOn()
})

test('a backup tells of no flow, whatever becomes of those that it holds; without the filter it would', async () => {
  using one = await download()
  const primary = await it.settled()
  const backup = it.other(primary)
  const flow = `ESTABLISHED ${String(one.localPort)}`
  const [kept, ended] = ['10.9.0.201', '10.9.0.202']
  const makeStale = (from: string) => nsExec(backup, 'conntrack', '-I', ...staleFlow(from))
  makeStale(kept)
  nsExec(backup, 'conntrack', '-D', '-p', 'tcp', '-s', inside)
  conntrackdSays(backup, '-B')
  await staysSo('the primary hears nothing of it', () => flowsOn(primary).includes(flow) && !knows(primary, kept), 1000)
  for (const host of hosts) process.kill(it.lab.agentPid(host), 'SIGSTOP')
  try {
    for (const host of hosts) nsExec(host, 'nft', 'delete', 'table', 'inet', 'keepward_flows')
    makeStale(ended)
    await until('the primary is told', () => knows(primary, ended))
  } finally {
    for (const host of hosts) process.kill(it.lab.agentPid(host), 'SIGCONT')
  }
  for (const host of hosts)
    await until('the filter is there again', () => nsExec(host, 'nft', 'list', 'tables').includes('keepward_flows'), 40_000)
})

test('an agent that is killed and comes back adopts conntrackd', async () => {
  const primary = await it.settled()
  const before = conntrackdOn(primary)
  await it.lab.killAgent(primary)
  it.lab.startAgent(primary)
  await it.answers(primary)
  await it.role(primary, 'primary')
  await staysSo('the same one runs on', () => String(conntrackdOn(primary)) === String(before), 1000)
})

test('a config without it ends conntrackd and its filter, and a router that is removed leaves none', async () => {
  const backup = it.other(await it.settled())
  it.editConfig(backup, (text) => text.replace('    connectionTracking: {}\n', ''))
  await it.apply(backup)
  await until('conntrackd is gone', () => conntrackdOn(backup).length === 0)
  await until('its filter is gone', () => !nsExec(backup, 'nft', 'list', 'tables').includes('keepward_flows'))
  const primary = it.other(backup)
  it.editConfig(primary, (text) => text.replace(/routers:[^]*$/, 'routers: []\n'))
  await it.apply(primary)
  await until('conntrackd is gone', () => conntrackdOn(primary).length === 0)
  await until('its files are gone', () => !existsSync(`${it.lab.host(primary).directory}/run/routers/r1`))
})
