import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalAll } from '../../src/lab/processes.ts'
import { addAddress, removeAddress } from '../../src/linux/address.ts'
import { linkByName } from '../../src/linux/link.ts'
import { openNetlink } from '../../src/linux/netlink-socket.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { commandLine, findByArgument } from '../../src/linux/process.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

const hookUid = 60_233
const agentUid = 60_991
let it: LabUnderTest
/** Root's, with the programs; and what they write to. */
let directory: string
let own: string

/** A window that failovers of these tests do not fill. */
const flaps = '\n    flaps: { changes: 10, window: 5s }'

const radvd = `
      - { address: "fe80::1/64", interface: ext0 }
    routerAdvertisements:
      - { interface: ext0, interval: 4s, prefixes: [{ prefix: "2001:db8:a::/64" }] }`

beforeAll(async () => {
  directory = mkdtempSync('/run/kwt-lab-hook-')
  chmodSync(directory, 0o711)
  own = join(directory, 'own')
  mkdirSync(own)
  chownSync(own, hookUid, hookUid)
  program('tell', `echo "$KEEPWARD_ROLE $KEEPWARD_SEQUENCE" >>${own}/$KEEPWARD_AGENT-$KEEPWARD_ROUTER`)
  program('misbehave', `. ${own}/how`)
  how(':')
  it = await labFor('hooks', {
    routers: 2,
    agentUid,
    config: (text) =>
      text
        .replace(/( {2}- id: r2\n[^]*)$/, (second) => `@@${second}`)
        .replace('\n@@', `${radvd}${hooksOf('misbehave')}${flaps}\n`) +
      hooksOf().slice(1) +
      '\n',
  })
})
afterAll(async () => {
  await it.down()
  rmSync(directory, { recursive: true, force: true })
})

const hooksOf = (...more: readonly string[]): string =>
  `\n    hooks:${['tell', ...more].map((one) => `\n      - { program: ${directory}/${one}, user: ${String(hookUid)}, timeout: 2s }`).join('')}`

function program(name: string, text: string): void {
  writeFileSync(join(directory, name), `#!/bin/bash\n${text}\n`)
  chmodSync(join(directory, name), 0o755)
}

/** What the second hook of r1 does from now on. */
function how(text: string): void {
  writeFileSync(join(own, 'how'), `${text}\n`)
}

/** `primary 17`, oldest first: what the hook of a router heard on a host. */
function heard(host: string, router = 'r1'): string[] {
  const file = join(own, `${it.name}-${host}-${router}`)
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
}

/** The same of the journal. */
async function recorded(host: string, router = 'r1'): Promise<string[]> {
  const events = await it.events(host, router)
  return events
    .filter(({ kind, body }) => kind === 'transition' && body['to'] !== 'unknown')
    .map(({ body, seq }) => `${String(body['to'])} ${String(seq)}`)
}

const withWord = (word: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandLine(Number(name))?.includes(word) === true)
    .map(Number)

const radvdOf = (host: string): number[] =>
  findByArgument(`${it.lab.host(host).directory}/host/routers/r1/radvd.conf`, 'radvd')

/** Whoever is not primary becomes it. */
async function failOver(): Promise<void> {
  const primary = await it.settled()
  await it.lab.killKeepalived(primary, 'r1')
  await it.role(it.other(primary), 'primary')
  await it.settled()
}

const heardAll = (host: string) =>
  until(`hooks on ${host} heard all`, async () => String(heard(host)) === String(await recorded(host)))

/** Every hook of r1 has heard what there was: what they are to do may change. Says who is primary. */
async function quiet(): Promise<string> {
  const primary = await it.settled()
  for (const host of ['h1', 'h2']) {
    await heardAll(host)
    await until(`no hook waits or runs on ${host}`, async () => {
      const { evidence } = await it.explain(host)
      return !evidence.some(({ what, found }) => what.startsWith('hook') && /^hears |^(?!heard)/.test(found))
    })
  }
  return primary
}

test('through three failovers the hooks of each host hear each role, once and in order', async () => {
  await it.settled()
  for (let round = 0; round < 3; round++) await failOver()
  for (const host of ['h1', 'h2']) {
    await heardAll(host)
    await it.noCondition(host)
    expect(heard(host).length).toBeGreaterThanOrEqual(3)
  }
})

test('a hook that hangs and detaches what it starts is killed in time, shows, and delays neither services nor other routers', async () => {
  const before = await quiet()
  const mark = `700.${String(process.pid)}`
  how(`setsid sleep ${mark} & (setsid setsid sleep ${mark} &); trap "" TERM; sleep ${mark}`)
  await failOver()
  const heir = it.other(before)
  await until('it runs', () => withWord(mark).length >= 3)
  await until('radvd runs where the role is', () => radvdOf(heir).length > 0 && radvdOf(before).length === 0, 3000)
  const other = await it.settled('r2')
  const told = heard(heir, 'r2').length
  await it.lab.killKeepalived(other, 'r2')
  await it.role(it.other(other), 'primary', 'r2')
  await until(
    'hooks of r2 hear',
    async () => heard(heir, 'r2').length > told && String(heard(heir, 'r2')) === String(await recorded(heir, 'r2')),
    5000,
  )
  await until('it is said', async () =>
    /misbehave on primary: it was killed after 2000 ms; it said: nothing/.test(await it.condition(heir, 'hook-failed')),
  )
  how(':')
  await it.noCondition(heir)
  await it.noCondition(before)
  await until('nothing of it is left', () => withWord(mark).length === 0, 6000)
  await heardAll(heir)
})

test('a hook that writes 100 MB and forks without end costs keepward-host nothing', async () => {
  const primary = await quiet()
  const heir = it.other(primary)
  const rss = () =>
    Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${String(it.lab.rootHalfPid(heir))}/status`, 'utf8'))?.[1]) * 1024
  const before = rss()
  const mark = `701.${String(process.pid)}`
  how(`head -c 100000000 /dev/zero; while :; do sleep ${mark} & done`)
  await failOver()
  await it.condition(heir, 'hook-failed')
  how(':')
  expect(rss() - before).toBeLessThan(60e6)
  await it.noCondition(heir)
  await it.noCondition(primary)
  await until('nothing of it is left', () => withWord(mark).length === 0, 6000)
})

test('an agent that is killed in the middle of a hook has each hear the role, and none twice', async () => {
  const primary = await quiet()
  const heir = it.other(primary)
  const count = join(own, 'count')
  how(`echo $KEEPWARD_AGENT $KEEPWARD_SEQUENCE >>${count}; sleep 1`)
  await it.lab.killKeepalived(primary, 'r1')
  await until('it runs', () => existsSync(count) && readFileSync(count, 'utf8').includes(`-${heir} `))
  await it.lab.killAgent(heir)
  it.lab.startAgent(heir)
  await it.answers(heir)
  await it.role(heir, 'primary')
  await until('explain says that it heard', async () => {
    const { evidence } = await it.explain(heir)
    return evidence.some(({ what, found }) => what.endsWith('misbehave') && found.startsWith('heard primary'))
  })
  how(':')
  await quiet()
  const runs = readFileSync(count, 'utf8')
    .trim()
    .split('\n')
    .filter((line) => line.includes(`-${heir} `))
  expect(runs).toHaveLength(1)
})

test('a keepward-host that is killed in the middle of a hook takes it along, and has it hear again', async () => {
  const primary = await quiet()
  const heir = it.other(primary)
  const mark = `702.${String(process.pid)}`
  const count = join(own, 'again')
  const note = `echo $KEEPWARD_AGENT $KEEPWARD_SEQUENCE >>${count}`
  how(`${note}; setsid sleep ${mark} & sleep ${mark}`)
  await it.lab.killKeepalived(primary, 'r1')
  const mine = () =>
    existsSync(count)
      ? readFileSync(count, 'utf8')
          .trim()
          .split('\n')
          .filter((line) => line.includes(`-${heir} `))
      : []
  await until('it runs', () => mine().length === 1)
  await signalAll([it.lab.rootHalfPid(heir)], 'SIGKILL')
  how(note)
  // Also that of the other host, whose time is up.
  await until('it is gone', () => withWord(mark).length === 0, 6000)
  it.lab.startRootHalf(heir)
  await until('it hears again', () => mine().length === 2)
  const [first, again] = mine()
  expect(again).toBe(first)
  await until('it has heard', async () => {
    const { evidence } = await it.explain(heir)
    return evidence.some(({ what, found }) => what.endsWith('misbehave') && found.startsWith('heard primary'))
  })
  how(':')
  await it.settled()
  await it.noCondition(heir)
})

test('a role that flips 50 times in 5 s is flapping, and ends with the services of the last role and one last hook', async () => {
  const primary = await quiet()
  const host = it.other(primary)
  await heardAll(host)
  const before = heard(host).length
  using namespace = openNamespace(it.namespace(host))
  using socket = openNetlink(namespace.fd)
  const { ifindex } = linkByName(socket, 'ha0')
  const marker = { family: 4, address: '169.254.0.1', prefixLength: 24 } as const
  for (let flip = 0; flip < 25; flip++) {
    socket.apply([addAddress(ifindex, marker, 0)])
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.apply([removeAddress(ifindex, marker)])
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  expect(await it.condition(host, 'flapping')).toMatch(
    /^\d\d changes of role within 5 s, most often \(\d+ times\): marker/,
  )
  const { evidence } = await it.explain(host)
  expect(evidence.find(({ what }) => what === 'hooks: waiting')?.found).toMatch(
    /^backup, held back while the role flaps/,
  )
  await it.role(host, 'backup')
  await until('radvd is gone', () => radvdOf(host).length === 0, 2000)
  const told = heard(host).length
  // As many as are allowed before it is flapping; what is earlier counts too.
  expect(told - before).toBeLessThanOrEqual(10)
  const [last] = (await recorded(host)).slice(-1)
  await until('the last role is told', () => heard(host).at(-1) === last, 8000)
  expect(heard(host)).toHaveLength(told + 1)
  await staysSo('nothing more is told', () => heard(host).length === told + 1 && radvdOf(host).length === 0, 2000)
})

test('a router that is removed takes its hooks along', async () => {
  const primary = await it.settled()
  const mark = `703.${String(process.pid)}`
  how(`sleep ${mark}`)
  const heir = it.other(primary)
  await it.lab.killKeepalived(primary, 'r1')
  await until('it runs', () => withWord(mark).length > 0, 40_000)
  for (const host of [primary, heir]) {
    it.editConfig(host, (text) => text.replace(/routers:[^]*$/, 'routers: []\n'))
    await it.apply(host)
  }
  await until('it is gone', () => withWord(mark).length === 0, 1000)
  await staysSo('it is not run again', () => withWord(mark).length === 0, 3000)
})
