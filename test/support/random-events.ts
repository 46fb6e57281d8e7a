import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { seededRandom } from '../../bench/statistics.ts'
import { findByArgument } from '../../src/linux/process.ts'
import { labFor, type LabUnderTest } from './lab.ts'
import { watchRoles, type RoleWatch } from './role-watch.ts'
import { until } from './until.ts'

const programs = ['radvd', 'haproxy'] as const
/** Its haproxy never passes its own test: what that router wants hangs, all the while. */
const hung = 'r1'

/** So many things happen to a lab at random, all of them of the kind that happens; what must hold is watched all the while, and at the end. */
export async function randomEvents(
  file: string,
  { events, seed }: { readonly events: number; readonly seed: number },
): Promise<void> {
  const it = await labFor(file, { routers: 3, config: withServices })
  const stopHanging = hangChecks(it)
  try {
    await it.settled()
    using watch = watchRoles(it, programs)
    watch.hung(hung)
    const happened = await happen(it, watch, events, seededRandom(seed))
    if (watch.breaches.length > 0)
      for (const { name } of it.lab.hosts) console.error(it.log(name).split('\n').slice(-60).join('\n'))
    expect(watch.breaches.slice(0, 5), `of seed ${String(seed)}, after ${happened.slice(-20).join(', ')}`).toEqual([])
    it.lab.heal()
    for (const { name } of it.lab.hosts) {
      it.lab.startAgent(name)
      await it.answers(name)
      watch.agentAway(name, false)
    }
    const primaries = new Map<string, string>()
    for (const { id } of it.lab.routers) primaries.set(id, await it.settled(id))
    const wanted = [...primaries].flatMap(([id, host]) => programs.map((program) => `${host} ${id} ${program}`))
    const isWanted = () =>
      watch
        .running()
        .filter((one) => !one.includes(` ${hung} `))
        .toSorted()
    const good = wanted.filter((one) => !one.includes(` ${hung} `)).toSorted()
    await until(
      'the services run where the roles are, and nowhere else',
      () => String(isWanted()) === String(good),
      40_000,
    )
    expect(watch.breaches.slice(0, 5), `of seed ${String(seed)}`).toEqual([])
    for (const { name } of it.lab.hosts) {
      expect((await it.status(name)).journal).toMatchObject({ state: 'ok', lost: 0 })
      expect(await it.verify(name)).toMatchObject({ ok: true })
    }
  } finally {
    stopHanging()
    await it.down()
  }
  expect(it.leftovers()).toEqual([])
  for (const program of programs) expect(findByArgumentBelow(it, program)).toEqual([])
}

async function happen(it: LabUnderTest, watch: RoleWatch, events: number, random: () => number): Promise<string[]> {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  const happened: string[] = []
  const dead = new Set<string>()
  const cut = new Set<string>()
  for (let n = 0; n < events; n++) {
    const { name: host } = pick(it.lab.hosts)
    const { id } = pick(it.lab.routers)
    const chance = random()
    if (chance < 0.35) {
      happened.push(`${host} loses keepalived of ${id}`)
      // It may be between two of them.
      await it.lab.killKeepalived(host, id).catch(() => undefined)
    } else if (chance < 0.55) {
      const program = pick(programs)
      happened.push(`${program} of ${id} on ${host} dies`)
      for (const pid of pidsOf(it, host, id, program)) kill(pid, 'SIGKILL')
    } else if (chance < 0.65) {
      happened.push(`radvd of ${id} on ${host} freezes`)
      for (const pid of pidsOf(it, host, id, 'radvd')) kill(pid, 'SIGSTOP')
    } else if (chance < 0.8) {
      happened.push(cut.has(host) ? `${host} is joined` : `${host} is cut off`)
      if (cut.delete(host)) it.lab.heal(host)
      else {
        cut.add(host)
        it.lab.cut(host)
      }
    } else if (dead.has(host)) {
      happened.push(`the agent of ${host} starts`)
      dead.delete(host)
      it.lab.startAgent(host)
      watch.agentAway(host, false)
    } else if (chance < 0.88) {
      happened.push(`the agent of ${host} is killed`)
      dead.add(host)
      watch.agentAway(host, true)
      await it.lab.killAgent(host)
    } else {
      happened.push(`${host} applies its config`)
      await it.apply(host).catch(() => undefined)
    }
    await wait(20 + random() * 280)
    if (watch.breaches.length > 0) break
  }
  return happened
}

/** Stops each test of that router's haproxy as soon as it is seen: the reaction hangs until its deadline. */
function hangChecks(it: LabUnderTest): () => void {
  const timer = setInterval(() => {
    for (const { name } of it.lab.hosts) for (const pid of pidsOf(it, name, hung, 'haproxy')) kill(pid, 'SIGSTOP')
  }, 20)
  return () => {
    clearInterval(timer)
  }
}

const fileOf = { radvd: 'radvd.conf', haproxy: 'metadata.cfg' } as const

const pidsOf = (it: LabUnderTest, host: string, router: string, program: (typeof programs)[number]): number[] =>
  findByArgument(`${it.lab.host(host).directory}/run/routers/${router}/${fileOf[program]}`, program)

const findByArgumentBelow = (it: LabUnderTest, program: (typeof programs)[number]): number[] =>
  it.lab.hosts.flatMap(({ name }) => it.lab.routers.flatMap(({ id }) => pidsOf(it, name, id, program)))

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

/** Each router advertises itself, and has a metadata proxy, at addresses of its own. */
const withServices = (text: string): string =>
  text.replace(/( {6}- \{ address: "2001:db8:1::(\d)\/64", interface: ext0 \})/g, (_, line: string, n: string) =>
    [
      line,
      `      - { address: "fe80::${n}/64", interface: ext0 }`,
      `      - { address: 169.254.170.${n}/32, interface: ext0 }`,
      '    routerAdvertisements: [{ interface: ext0, prefixes: [{ prefix: "2001:db8:a::/64" }] }]',
      `    metadata: { addresses: [169.254.170.${n}], socket: /run/kwt-nobody }`,
    ].join('\n'),
  )
