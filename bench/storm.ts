import { setTimeout as wait } from 'node:timers/promises'
import { signalAll } from '../src/lab/processes.ts'
import { openNamespace } from '../src/linux/netns.ts'
import { openNetlink } from '../src/linux/netlink-socket.ts'
import { takeSnapshot } from '../src/linux/snapshot.ts'
import { openWatchSocket, watchKernel, type KernelWatch } from '../src/linux/watch.ts'
import { keepalivedUnder } from './cost.ts'
import { follow, monotonicMs, type Seen } from './follow.ts'
import type { Size } from './latency.ts'
import { openMarkers } from './marker.ts'
import { peers } from './peers.ts'
import { rounded, type Bench } from './result.ts'
import { markerOf, routerId } from './routers.ts'
import { median } from './statistics.ts'
import { withQuietHost, withWorld, type World, type WorldHost } from './world.ts'

/** Every router changes at once: by hand as fast as the kernel takes it, then in a real failure of their host. */
export const storm: Bench = async ({ runs, quick, say }) => {
  const routers = quick ? 10 : 200
  const byHand = await stormByHand(routers, (runs ?? 1) * (quick ? 2 : 6), say)
  const real = await stormOfFailovers(routers, say)
  const rounds = [...byHand, real]
  const lastDurableMs = rounded(Math.max(...rounds.map((round) => round.lastDurableMs)))
  const lost = rounds.reduce((sum, round) => sum + round.lost, 0)
  const metrics = {
    lastDurableMs,
    lost,
    orderKept: rounds.every(({ orderKept }) => orderKept),
    late: rounds.reduce((sum, round) => sum + round.late, 0),
    byHandMedianMs: rounded(median(byHand.map((round) => round.lastDurableMs))),
    byHandWorstMs: rounded(Math.max(...byHand.map((round) => round.lastDurableMs))),
    byHandSpanMs: rounded(median(byHand.map((round) => round.spanMs))),
    failoverMs: rounded(real.lastDurableMs),
    failoverLost: real.lost,
    failoverSpanMs: rounded(real.spanMs),
    rounds: rounds.length,
    routers,
  }
  return { metrics, peer: peers.storm, limit: { lastDurableMs: 250 }, ours: { lastDurableMs, lost } }
}

export interface Round {
  /** From the last kernel event until a subscriber has the last durable record. */
  readonly lastDurableMs: number
  /** From the first kernel event to the last. */
  readonly spanMs: number
  readonly lost: number
  /** Records stand in the order in which the kernel changed. */
  readonly orderKept: boolean
  readonly late: number
}

/** In the order of the kernel. */
type Happened = readonly { readonly router: string; readonly atMs: number; readonly to: string }[]

async function stormByHand(routers: number, rounds: number, say: (text: string) => void): Promise<Round[]> {
  return withQuietHost({ routers }, async (world, host) => {
    world.start(host)
    await world.settle(host, routers, ['backup'])
    await wait(3000)
    return stormRounds(world, host, { routers, rounds, say })
  })
}

/** Change the markers of all settled routers as fast as the kernel takes it, so often. */
export async function stormRounds(
  world: World,
  host: WorldHost,
  { routers, rounds, say, followWith = follow }: Size & { readonly rounds: number },
): Promise<Round[]> {
  const markers = openMarkers(world, host, routers)
  using follower = await followWith(world, host)
  const found: Round[] = []
  for (let round = 1; round <= rounds; round++) {
    const from = (await follower.seen()).length
    const happened = markers.map((marker) => {
      const { afterMs, to } = marker.flip()
      return { router: marker.router, atMs: afterMs, to }
    })
    const judged = judge(happened, await follower.wait(routers, from, 10_000))
    say(`round ${round} by hand: ${JSON.stringify(judged)}`)
    found.push(judged)
    await wait(3000)
  }
  for (const marker of markers) marker.close()
  return found
}

/** The host of all primaries dies; the routers of the other one become primary when their timers run out. */
async function stormOfFailovers(routers: number, say: (text: string) => void): Promise<Round> {
  return withWorld({ hosts: 2, advertisementInterval: '1s', vrrpVersion: 3 }, async (world) => {
    const [first, second] = world.hosts
    if (first === undefined || second === undefined) throw new Error('a world has two hosts')
    // One after the other: who comes first is primary, and the second joins as backup.
    for (const [host, role] of [
      [first, 'primary'],
      [second, 'backup'],
    ] as const) {
      world.configure(host, routers)
      world.start(host)
      await world.settle(host, routers, [role])
    }
    await wait(5000)
    const happened: { router: string; atMs: number; to: string }[] = []
    using watch = watchMarkers(world, second, routers, happened)
    using follower = await follow(world, second)
    const from = (await follower.seen()).length
    const dying = [world.agentPid(first), ...keepalivedUnder(first.runDirectory).sort((a, b) => a - b)]
    world.setPort(first, 'ha', false)
    await signalAll(dying, 'SIGKILL')
    const seen = await follower.wait(routers, from, 20_000)
    const judged = judge(happened, seen, routers)
    say(`failure of a host: ${JSON.stringify(judged)}, ${watch.overruns} overruns here`)
    return judged
  })
}

/** Note each marker that comes, when the kernel tells. */
function watchMarkers(
  world: World,
  host: WorldHost,
  routers: number,
  happened: { router: string; atMs: number; to: string }[],
): KernelWatch {
  const byId = new Map<number, number>()
  const watch = watchKernel({
    fd: openWatchSocket(),
    onChange: (nsid, _view, cause) => {
      const atMs = monotonicMs()
      const n = byId.get(nsid)
      if (n === undefined || cause.kind !== 'event' || cause.event.type !== 'address') return
      if (cause.event.address.address !== markerOf(n).address) return
      happened.push({ router: routerId(n), atMs, to: 'primary' })
    },
    onGone: () => undefined,
  })
  using socket = openNetlink()
  for (let n = 1; n <= routers; n++) {
    using namespace = openNamespace(world.plan(host, n).namespace)
    byId.set(watch.track(() => takeSnapshot(socket, namespace.fd, 'all')).nsid, n)
  }
  return watch
}

function judge(happened: Happened, seen: readonly Seen[], expected = happened.length): Round {
  const lastEventMs = Math.max(...happened.map(({ atMs }) => atMs))
  const lastSeenMs = Math.max(...seen.map(({ seenMs }) => seenMs))
  const text = (one: { readonly router: string; readonly to: string }) => `${one.router} ${one.to}`
  return {
    lastDurableMs: lastSeenMs - lastEventMs,
    spanMs: lastEventMs - Math.min(...happened.map(({ atMs }) => atMs)),
    lost: expected - seen.length,
    orderKept: happened.map(text).join() === seen.map(text).join() && isRising(seen.map(({ seq }) => seq)),
    late: seen.filter(({ late }) => late).length,
  }
}

const isRising = (numbers: readonly number[]): boolean =>
  numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? Infinity))
