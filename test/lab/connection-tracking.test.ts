import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { clientNamespace, innerNamespace } from '../../src/lab/topology.ts'
import { findByArgument } from '../../src/linux/process.ts'
import { startDownload, startSource, type Download } from '../support/download.ts'
import { madeUpFlow, Stranger } from '../support/flow-stranger.ts'
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
const filtered = (host: string) =>
  until('the filter is there', () => nsExec(host, 'nft', 'list', 'tables').includes('keepward_flows'), 40_000)
const conntrackdSays = (host: string, word: string): string =>
  nsExec(host, 'conntrackd', '-C', `${it.lab.host(host).directory}/run/routers/r1/conntrackd.conf`, word)

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
  // TCP waits twice as long before each further try.
  expect(Math.max(...gaps)).toBeLessThan(10_000)
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
  await until(
    'the dead host knows of it',
    () => flowsOn(primary).includes(`ESTABLISHED ${String(one.localPort)}`),
    30_000,
  )
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

test('a backup tells of no flow, whatever becomes of those that it holds: either filter sees to that, and without both it would', async () => {
  using one = await download()
  const primary = await it.settled()
  const backup = it.other(primary)
  const flow = `ESTABLISHED ${String(one.localPort)}`
  const tellsOf = (from: string) => {
    nsExec(backup, 'conntrack', '-I', ...madeUpFlow(from))
    conntrackdSays(backup, '-B')
  }
  const isSpared = (from: string) =>
    staysSo('the primary is not told', () => flowsOn(primary).includes(flow) && !knows(primary, from), 500)
  nsExec(backup, 'conntrack', '-D', '-p', 'tcp', '-s', inside)
  tellsOf('10.9.0.201')
  await isSpared('10.9.0.201')
  for (const host of hosts) process.kill(it.lab.agentPid(host), 'SIGSTOP')
  try {
    const table = ['table', 'inet', 'keepward_flows']
    const text = nsExec(primary, 'nft', 'list', ...table)
    nsExec(primary, 'nft', 'delete', ...table)
    tellsOf('10.9.0.202')
    await isSpared('10.9.0.202')
    nsExec(primary, 'nft', text)
    nsExec(backup, 'nft', 'delete', ...table)
    tellsOf('10.9.0.203')
    await isSpared('10.9.0.203')
    nsExec(primary, 'nft', 'delete', ...table)
    tellsOf('10.9.0.204')
    await until('the primary is told', () => knows(primary, '10.9.0.204'))
  } finally {
    for (const host of hosts) process.kill(it.lab.agentPid(host), 'SIGCONT')
  }
  for (const host of hosts) await filtered(host)
})

test('a stranger on the HA link, or the peer by another interface, tells of nothing; without the filter both would', async () => {
  const backup = it.other(await it.settled())
  using stranger = await Stranger.on(it, backup)
  await stranger.tells('ha', '169.254.200.66', '10.9.0.211')
  await stranger.tells('ext', stranger.peerOfVictim, '10.9.0.212')
  const believed = () => ['10.9.0.211', '10.9.0.212'].filter((one) => knows(backup, one))
  await staysSo('it believes neither', () => believed().length === 0, 500)
  process.kill(it.lab.agentPid(backup), 'SIGSTOP')
  try {
    nsExec(backup, 'nft', 'delete', 'table', 'inet', 'keepward_flows')
    await stranger.tells('ha', '169.254.200.66', '10.9.0.213')
    await stranger.tells('ext', stranger.peerOfVictim, '10.9.0.214')
    await until('it hears both', () => knows(backup, '10.9.0.213') && knows(backup, '10.9.0.214'))
  } finally {
    process.kill(it.lab.agentPid(backup), 'SIGCONT')
  }
  await filtered(backup)
})

test('a masqueraded download survives three failovers, although a host that loses the address forgets it', async () => {
  for (const host of hosts) {
    it.editConfig(host, (text) =>
      text.replace(/nat: .*/, 'nat: { masquerade: [{ from: [10.9.0.0/24], interface: ext0 }] }'),
    )
    await it.apply(host)
    await until('it masquerades', () => nsExec(host, 'nft', 'list', 'ruleset').includes('masquerade'))
  }
  using one = await download()
  const flow = `ESTABLISHED ${String(one.localPort)}`
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    it.ip(primary, 'r1', 'link', 'set', 'ha0', 'down')
    await it.role(it.other(primary), 'primary')
    await until('it gave the address up', () => !holds(primary))
    it.ip(primary, 'r1', 'link', 'set', 'ha0', 'up')
    await one.goesOn()
    await it.role(primary, 'backup')
    await until('it has learnt of it again', () => flowsOn(primary).includes(flow), 5000)
  }
})

test('conntrackd that hangs is replaced as soon as it is to be told a role', async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  const [pid = 0] = conntrackdOn(heir)
  process.kill(pid, 'SIGSTOP')
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(heir, 'primary')
  await until('another one runs', () => conntrackdOn(heir).some((one) => one !== pid), 20_000)
  await ready()
  await it.noCondition(heir)
})

test('hosts whose HA interface was made anew tell and hear as before', async () => {
  for (const host of [it.other(await it.settled()), await it.settled()]) {
    it.ip(host, 'r1', 'link', 'delete', 'ha0')
    await until('it is there again', () => it.addresses(host, 'ha0').length > 0)
    await it.settled()
    await ready()
    using one = await download()
    await one.goesOn()
  }
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
