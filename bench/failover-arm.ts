import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../src/base/error.ts'
import { parseRouterId } from '../src/router/spec.ts'
import { outerName } from '../src/host/mark.ts'
import { SafeDir } from '../src/linux/safe-dir.ts'
import { startKeepalived } from '../src/keepalived/process.ts'
import { startProbe } from '../src/lab/probe.ts'
import { signalAll } from '../src/lab/processes.ts'
import { listAddresses, removeAddress } from '../src/linux/address.ts'
import { setLink } from '../src/linux/link.ts'
import { openNetlink } from '../src/linux/netlink-socket.ts'
import { openNamespace } from '../src/linux/netns.ts'
import { takeSnapshot } from '../src/linux/snapshot.ts'
import { openWatchSocket, watchKernel, type KernelWatch } from '../src/linux/watch.ts'
import { keepalivedUnder } from './cost.ts'
import { markerOf, routerId, virtualAddress } from './routers.ts'
import { until } from './until.ts'
import type { World, WorldHost } from './world.ts'

/**
 * One failover of one router, both from the death of its primary on. Void when the client's longest gap was not that one: the
 * role had begun to move by itself, as it does with short adverts on a machine that is too busy.
 */
export interface Gap {
  /** Until the client had an answer again. */
  readonly clientMs: number
  /** Until the backup's kernel had the virtual address. */
  readonly addressMs: number
}

/** A pair of hosts whose routers are failed over again and again. */
export interface Arm extends Disposable {
  /** Every router once, each at a moment of its own; afterwards both sides run again. */
  failOver(random: () => number): Promise<readonly (Gap | 'void')[]>
}

/** As with a host without power: links dead, then both processes. */
export async function openArm(world: World, routers: number, intervalMs: number, withAgents: boolean): Promise<Arm> {
  for (const host of world.hosts) {
    world.configure(host, routers)
    world.start(host)
  }
  const numbers = Array.from({ length: routers }, (_, index) => index + 1)
  await Promise.all(world.hosts.map((host) => world.settle(host, routers, ['primary', 'backup'])))
  const arrivals = new Arrivals(world, numbers)
  await until('each router has one primary', 60_000, () => numbers.every((n) => arrivals.holders(n).length === 1))
  // keepalived runs on without its agents, as it would if somebody had started it by hand with this config.
  if (!withAgents) for (const host of world.hosts) await world.killAgent(host)
  return {
    failOver: (random) =>
      Promise.all(numbers.map((n) => failOne(world, n, intervalMs, withAgents, random(), arrivals))),
    [Symbol.dispose]: () => {
      arrivals.close()
    },
  }
}

const probeMs = 5

async function failOne(
  world: World,
  n: number,
  intervalMs: number,
  withAgents: boolean,
  phase: number,
  arrivals: Arrivals,
): Promise<Gap | 'void'> {
  // On a busy machine short adverts may come too late, and the role moves by itself.
  await until(`${routerId(n)} has one primary`, 30_000, () => arrivals.holders(n).length === 1)
  const primary = arrivals.holders(n)[0]
  const backup = world.hosts.find((host) => host !== primary)
  if (primary === undefined || backup === undefined)
    throw new KeepwardError('lab-failed', `Router r${n} has no primary`)
  const probe = startProbe(world.name, virtualAddress(n), { intervalMs: probeMs, maxSeconds: 60 })
  await probe.answering
  // Anywhere between two adverts.
  await wait(500 + phase * intervalMs)
  const pids = keepalivedUnder(join(primary.runDirectory, 'routers', routerId(n))).sort((a, b) => a - b)
  const arrival = arrivals.next(backup, n)
  const diedMs = Date.now()
  setOuterLinks(primary, n, false)
  await signalAll(pids, 'SIGKILL')
  const addressMs = (await arrival()) - diedMs
  // The client's answers go on for a moment, so that the gap has an end.
  await wait(200)
  const { gapUntilMs, longestGapMs } = await probe.stop()
  const whole = longestGapMs >= addressMs / 2 && gapUntilMs > diedMs
  await revive(world, primary, n, withAgents)
  // A backup listens before it counts; then it must have heard the primary.
  await wait(Math.max(1000, intervalMs) + 2 * intervalMs + 500)
  return whole ? { clientMs: gapUntilMs - diedMs, addressMs } : 'void'
}

/** The host is there again, without the addresses of its former life: its own agent sees to that, or we do. */
async function revive(world: World, host: WorldHost, n: number, withAgents: boolean): Promise<void> {
  const { namespace: name } = world.plan(host, n)
  using namespace = openNamespace(name)
  if (withAgents) {
    setOuterLinks(host, n, true)
    const running = () => keepalivedUnder(join(host.runDirectory, 'routers', routerId(n))).length >= 2
    await until(`the agent has started keepalived of ${routerId(n)} again`, 90_000, running)
    return
  }
  {
    using socket = openNetlink(namespace.fd)
    const left = listAddresses(socket).filter(({ address }) =>
      [markerOf(n).address, virtualAddress(n), `2001:db8:1::${n.toString(16)}`].includes(address),
    )
    socket.apply(left.map((one) => removeAddress(one.ifindex, one)))
  }
  setOuterLinks(host, n, true)
  const home = SafeDir.open(join(host.runDirectory, 'routers', routerId(n)))
  const { process } = await startKeepalived(home, namespace.fd)
  process.close()
  home.close()
}

/** The ends of the router's links that lie in its host: carrier goes with them. */
function setOuterLinks({ lab, agent }: WorldHost, n: number, up: boolean): void {
  const id = parseRouterId(routerId(n))
  if (id === undefined) return
  using namespace = openNamespace(lab.namespace)
  using socket = openNetlink(namespace.fd)
  socket.apply(['ha0', 'ext0'].map((inner) => setLink(outerName(agent, id, inner), { up })))
}

/** Who holds each router's address, and when it came. */
class Arrivals {
  readonly #watch: KernelWatch
  readonly #places = new Map<number, { readonly host: WorldHost; readonly n: number }>()
  readonly #waiting = new Map<string, (atMs: number) => void>()

  constructor(world: World, numbers: readonly number[]) {
    this.#watch = watchKernel({
      fd: openWatchSocket(),
      onChange: (nsid, _view, cause) => {
        const atMs = Date.now()
        const place = this.#places.get(nsid)
        if (place === undefined || cause.kind !== 'event' || cause.event.type !== 'address') return
        if (cause.event.address.address === virtualAddress(place.n))
          this.#waiting.get(keyOf(place.host, place.n))?.(atMs)
      },
      onGone: () => undefined,
    })
    using socket = openNetlink()
    for (const host of world.hosts) {
      for (const n of numbers) {
        using namespace = openNamespace(world.plan(host, n).namespace)
        this.#places.set(this.#watch.track(() => takeSnapshot(socket, namespace.fd, 'all')).nsid, { host, n })
      }
    }
  }

  holders(n: number): WorldHost[] {
    return [...this.#places].flatMap(([nsid, place]) => {
      if (place.n !== n) return []
      const held = this.#watch.view(nsid)?.addresses.some(({ address }) => address === virtualAddress(n))
      return held === true ? [place.host] : []
    })
  }

  /** From now on, note when the address comes to a host; what is returned waits for it and says the Unix time. */
  next(host: WorldHost, n: number): () => Promise<number> {
    let came: number | undefined
    this.#waiting.set(keyOf(host, n), (atMs) => {
      came ??= atMs
    })
    return async () => {
      await until(`${routerId(n)} is on ${host.lab.name}`, 60_000, () => came !== undefined)
      this.#waiting.delete(keyOf(host, n))
      return came ?? NaN
    }
  }

  close(): void {
    this.#watch.close()
  }
}

const keyOf = (host: WorldHost, n: number): string => `${host.lab.name} ${n}`
