import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalAll } from '../../src/lab/processes.ts'
import { clientNamespace } from '../../src/lab/topology.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { findByArgument, processStat } from '../../src/linux/process.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

const network = '2001:db8:a::'
let it: LabUnderTest

// radvd has what the unit of keepward-host leaves to its children.
beforeAll(async () => {
  it = await labFor('radvd', {
    agentUid: 60_992,
    config: (text) => `${text}
      - { address: "fe80::1/64", interface: ext0 }
    routerAdvertisements:
      - { interface: ext0, interval: 4s, prefixes: [{ prefix: "${network}/64" }], dnsServers: ["${network}53"] }
`,
    prepare: ({ shape }) => {
      // A host that configures itself, as clients of a router do.
      using namespace = openNamespace(clientNamespace(shape.name))
      inNamespace(namespace.fd, () => {
        writeFileSync('/proc/sys/net/ipv6/conf/eth0/accept_ra', '2')
      })
    },
  })
})
afterAll(async () => {
  await it.down()
})

/** The pids of radvd of the router on a host. */
const radvdOf = (host: string): number[] =>
  findByArgument(`${it.lab.host(host).directory}/host/routers/r1/radvd.conf`, 'radvd')

const client = (...words: string[]): string => ip('-n', clientNamespace(it.name), ...words)
const router = (): string => client('-6', 'route', 'show', 'default')

test('a client makes itself an address and a default route from what the primary alone says', async () => {
  const primary = await it.settled()
  await until(
    'the client has an address of the network',
    () => client('-6', 'address', 'show').includes('2001:db8:a:'),
    20_000,
  )
  expect(router()).toContain('via fe80::1 dev eth0')
  expect(radvdOf(primary)).not.toEqual([])
  expect(radvdOf(it.other(primary))).toEqual([])
  await until('explain says so', async () => {
    const { evidence } = await it.explain(primary)
    return /^primary, took \d+ ms$/.test(evidence.find(({ what }) => what === 'follows: radvd')?.found ?? '')
  })
})

test('through three failovers radvd is where the role is, and the client keeps its router', async () => {
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    const heir = it.other(primary)
    await it.role(heir, 'primary')
    await it.role(primary, 'backup')
    await until('radvd has moved', () => radvdOf(heir).length > 0 && radvdOf(primary).length === 0, 3000)
    expect(router()).toContain('via fe80::1 dev eth0')
    await it.noCondition(heir)
    await it.noCondition(primary)
  }
})

test('what reads the packets of a network is neither root nor has a capability', async () => {
  const primary = await it.settled()
  const [reader = 0, helper] = await until('radvd runs', () => {
    const pids = radvdOf(primary)
    return pids.length === 2 && pids
  })
  const status = readFileSync(`/proc/${String(reader)}/status`, 'utf8')
  expect(status).toMatch(/^CapEff:\t0+$/m)
  expect(status).toMatch(/^CapPrm:\t0+$/m)
  expect(/^Uid:\t(\d+)/m.exec(status)?.[1]).not.toBe('0')
  // What sets the limits of an interface for it reads no packet.
  expect(processStat(helper ?? 0)?.parentPid).toBe(reader)
})

test('radvd that dies is started again within 1 s, and the journal tells of it', async () => {
  const primary = await it.settled()
  const [pid = 0] = radvdOf(primary)
  process.kill(pid, 'SIGKILL')
  await until('another radvd runs', () => radvdOf(primary).some((one) => one !== pid), 1000)
  await until('it is on record', async () => (await it.conditions(primary, 'r1')).includes('raised reaction-failed'))
  await it.noCondition(primary)
})

test('radvd that hangs, both of its processes, ends with the role', async () => {
  const primary = await it.settled()
  await until('radvd runs', () => radvdOf(primary).length === 2)
  for (const pid of radvdOf(primary)) process.kill(pid, 'SIGSTOP')
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(primary, 'backup')
  await until('none of it is left', () => radvdOf(primary).length === 0, 3000)
  await it.settled()
})

test('keepward that is killed, both of it, and comes back adopts radvd, and lets go of it where the role has gone meanwhile', async () => {
  const primary = await it.settled()
  const before = await until('radvd runs', () => {
    const pids = radvdOf(primary)
    return pids.length === 2 && pids
  })
  await signalAll([it.lab.agentPid(primary), it.lab.rootHalfPid(primary)], 'SIGKILL')
  it.lab.startAgent(primary)
  await it.answers(primary)
  await it.role(primary, 'primary')
  await staysSo('the same radvd runs on', () => String(radvdOf(primary)) === String(before), 1000)
  await signalAll([it.lab.agentPid(primary), it.lab.rootHalfPid(primary)], 'SIGKILL')
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(it.other(primary), 'primary')
  it.lab.startAgent(primary)
  await until('its radvd is gone', () => radvdOf(primary).length === 0, 10_000)
})

test('a config without advertisements ends radvd, and a router that is removed leaves none', async () => {
  const primary = await it.settled()
  it.editConfig(primary, (text) => text.replace(/ {4}routerAdvertisements:\n.*\n/, ''))
  await it.apply(primary)
  await until('radvd is gone', () => radvdOf(primary).length === 0)
  await until('nothing follows the role', async () => {
    const { evidence } = await it.explain(primary)
    return !evidence.some(({ what }) => what === 'follows: radvd')
  })
  const other = it.other(primary)
  await it.lab.killKeepalived(primary, 'r1')
  await until('the other has it', () => radvdOf(other).length > 0, 10_000)
  it.editConfig(other, (text) => text.replace(/routers:[^]*$/, 'routers: []\n'))
  await it.apply(other)
  await until('radvd is gone', () => radvdOf(other).length === 0)
})
