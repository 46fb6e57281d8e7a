import { expect, test } from 'vitest'
import { startProbe } from '../../src/lab/probe.ts'
import { fabricNamespace, prefixOf } from '../../src/lab/topology.ts'
import { createNamespace } from '../../src/linux/netns.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'
import { forge, type Forgery } from '../support/vrrp-forger.ts'

interface Arm {
  readonly name: string
  readonly file: string
  readonly advertise: 'unicast' | 'multicast'
  readonly version: 2 | 3
  readonly family: 4 | 6
  /** Without the filter. Of unicast over IPv4 keepalived itself looks at source, interface and hop limit. */
  readonly moves: boolean
}

const arms: readonly Arm[] = [
  { name: 'VRRPv3 multicast over IPv4', file: 'forge34', advertise: 'multicast', version: 3, family: 4, moves: true },
  { name: 'VRRPv2 multicast over IPv4', file: 'forge24', advertise: 'multicast', version: 2, family: 4, moves: true },
  { name: 'VRRPv3 multicast over IPv6', file: 'forge36', advertise: 'multicast', version: 3, family: 6, moves: true },
  { name: 'VRRPv3 unicast over IPv4', file: 'forgeu4', advertise: 'unicast', version: 3, family: 4, moves: false },
  { name: 'VRRPv3 unicast over IPv6', file: 'forgeu6', advertise: 'unicast', version: 3, family: 6, moves: true },
]

/** How long the stranger speaks: several times what keepalived needs to believe him. */
const bursts = 100

/** Each waits most of its time for looks that come every 20 s: all of them at once. */
test.concurrent.each(arms)('$name', { timeout: 240_000 }, async (arm) => {
  const it = await labFor(arm.file, {
    vrrpVersion: arm.version,
    // Where nothing may move, a busy machine must not make it move either.
    advertisementInterval: arm.version === 2 || !arm.moves ? '1s' : '200ms',
    config: (text) => configFor(arm, text),
  })
  try {
    const stranger = await strangerOf(it)
    await filterHolds(arm, it, stranger)
    await nothingElseHeld(arm, it, stranger)
    await failsOver(it)
  } finally {
    await it.down()
  }
})

/** A namespace that is on the HA link and on the one outside. */
async function strangerOf(it: LabUnderTest): Promise<string> {
  const stranger = `${prefixOf(it.name)}stranger`
  await createNamespace(stranger)
  for (const link of ['ha', 'ext']) {
    const ends = ['type', 'veth', 'peer', 'name', link, 'netns', stranger]
    ip('-n', fabricNamespace(it.name), 'link', 'add', `${link}-x`, ...ends)
    ip('-n', fabricNamespace(it.name), 'link', 'set', `${link}-x`, 'master', link, 'up')
    ip('-n', stranger, 'link', 'set', link, 'up')
  }
  return stranger
}

const send = (stranger: string, { ha, ext }: Attack): Promise<unknown> =>
  Promise.all([forge(stranger, 'ha', bursts, ha), forge(stranger, 'ext', bursts, ext)])

/** Whoever is no declared peer on the HA link moves nothing, and is shown. */
async function filterHolds(arm: Arm, it: LabUnderTest, stranger: string): Promise<void> {
  const primary = await it.settled()
  await it.noCondition(primary)
  const probe = startProbe(it.name, arm.family === 6 ? '2001:db8:1::1' : '198.51.100.1', {
    intervalMs: 20,
    maxSeconds: 60,
  })
  await probe.answering
  using watch = it.watch(it.namespace(primary), it.namespace(it.other(primary)))
  const adverts = attack(arm, it, primary)
  await send(stranger, adverts)
  expect(watch.seen).toEqual([])
  const { longestGapMs } = await probe.stop()
  expect(longestGapMs).toBeLessThan(1000)
  const strangers = [
    ...adverts.ha.map(({ source }) => `${source} on ha0`),
    ...adverts.ext.map(({ source }) => `${source} on ext0`),
  ]
  // A look between the two links has one of them alone.
  await until(
    'each stranger shows',
    async () => {
      const text = await it.condition(primary, 'vrrp-stranger', 'r1', 40_000)
      return strangers.every((one) => text.includes(one))
    },
    60_000,
  )
  expect(watch.seen).toEqual([])
}

/** Without the filter the same adverts take the role away, or keepalived itself refuses them; and the agent puts it in force again. */
async function nothingElseHeld(arm: Arm, it: LabUnderTest, stranger: string): Promise<void> {
  const primary = await it.settled()
  const agent = it.lab.agentPid(primary)
  const namespace = it.namespace(primary)
  process.kill(agent, 'SIGSTOP')
  try {
    nft(namespace, 'delete', 'table', 'inet', 'keepward_vrrp')
    const holds = () => it.ip(primary, 'r1', 'address', 'show', 'dev', 'ha0').includes(markerOf(arm))
    const sent = send(stranger, attack(arm, it, primary))
    if (arm.moves) await until('the primary gives its role up', () => !holds())
    await sent
    if (!arm.moves) expect(holds()).toBe(true)
  } finally {
    process.kill(agent, 'SIGCONT')
  }
  await until('the table is there again', () => nft(namespace, 'list', 'tables').includes('keepward_vrrp'), 40_000)
  await it.settled()
}

/** Hosts elect and fail over with the filter in force. */
async function failsOver(it: LabUnderTest): Promise<void> {
  const primary = await it.settled()
  const heir = it.other(primary)
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(heir, 'primary', 'r1', 30_000)
  expect(await it.settled()).toBe(heir)
  await staysSo('there is one primary', async () => (await it.router(heir)).role === 'primary', 1000)
}

const hostNumber = (host: string): number => 191 + Number(host.slice(1))
const markerOf = ({ family }: Arm): string => (family === 6 ? 'fe80::5652:1' : '169.254.0.1')
const addressOf = ({ family }: Arm, number: number): string =>
  family === 6 ? `fe80::a:${String(number)}` : `169.254.${String(number)}.1`

function configFor(arm: Arm, text: string): string {
  const six = text
    .replaceAll(/169\.254\.(\d+)\.1\b/g, 'fe80::a:$1')
    .replaceAll(/fe80::a:(\d+)\/18/g, '"fe80::a:$1/64"')
    .replaceAll(/(source: |peers: \[)(fe80::a:\d+)/g, '$1"$2"')
    .replace(/ {6}- \{ address: 198\.51\.100\.1.*\n/, '')
  const familiar = arm.family === 6 ? six : text
  return arm.advertise === 'unicast' ? familiar : familiar.replace(/unicast: \{ source: [^,]*, /, 'multicast: { ')
}

/** Adverts by the interface of the stranger that they leave from, all of a higher priority and the right VRID. */
interface Attack {
  readonly ha: readonly Forgery[]
  readonly ext: readonly Forgery[]
}

/** By somebody nobody declared; as the peer, but passed on by a router; as the peer, but on another interface. */
function attack(arm: Arm, it: LabUnderTest, victim: string): Attack {
  const peer = advert(arm, it, victim, hostNumber(it.other(victim)))
  return { ha: [advert(arm, it, victim, 66), { ...peer, ttl: 254 }], ext: [elsewhere(arm, it, victim, peer)] }
}

/** What the host of that number, or who is in its place, would tell the victim. */
function advert(arm: Arm, it: LabUnderTest, victim: string, number: number): Forgery {
  const group = arm.family === 6 ? 'ff02::12' : '224.0.0.18'
  return {
    version: arm.version,
    vrid: 1,
    source: addressOf(arm, number),
    destination: arm.advertise === 'multicast' ? group : addressOf(arm, hostNumber(victim)),
    ...(arm.advertise === 'multicast' ? {} : { destinationMac: mac(it, victim, 'ha0') }),
    ttl: 255,
    address: markerOf(arm),
    interval: arm.version === 2 ? 1 : 20,
  }
}

/** The same to an address that the victim has at another of its interfaces; over IPv6 an HA address is none there. */
function elsewhere(arm: Arm, it: LabUnderTest, victim: string, peer: Forgery): Forgery {
  const destination = arm.family === 6 ? '2001:db8:1::1' : addressOf(arm, hostNumber(victim))
  return { ...peer, destination, destinationMac: mac(it, victim, 'ext0') }
}

function mac(it: LabUnderTest, host: string, device: string): string {
  const [link] = JSON.parse(it.ip(host, 'r1', '-j', 'link', 'show', 'dev', device)) as { address: string }[]
  return link?.address ?? ''
}

const nft = (namespace: string, ...words: string[]): string => ip('netns', 'exec', namespace, 'nft', ...words)
