import { setTimeout as wait } from 'node:timers/promises'
import { cpuTime, memoryOf } from './cost.ts'
import { measureChanges } from './latency.ts'
import { rounded, type Bench, type Options } from './result.ts'
import { median, percentile } from './statistics.ts'
import { withQuietHost } from './world.ts'

/** What it costs that the agent is a user without rights and asks keepward-host: beside one process that is root, in turns. */
export const split: Bench = async ({ runs, quick, say }) => {
  const size = { routers: quick ? 10 : 200, changes: quick ? 60 : 600, say }
  const found: { readonly one: Cost[]; readonly two: Cost[] } = { one: [], two: [] }
  for (let round = 1; round <= (runs ?? (quick ? 1 : 3)); round++) {
    const turns = [undefined, agentUid]
    for (const uid of round % 2 === 1 ? turns : turns.reverse()) {
      const cost = await costOf(uid, size)
      const name = uid === undefined ? 'one' : 'two'
      found[name].push(cost)
      say(`run ${round}, ${name}: ${JSON.stringify(cost)}`)
    }
  }
  const one = middle(found.one)
  const two = middle(found.two)
  const metrics = { ...two, routers: size.routers }
  const limit = { evidenceP99Ms: 1.5 * one.evidenceP99Ms, p99Ms: 1.5 * one.p99Ms, cpuMsPerRouter: 10, totalMb: 200 }
  return { metrics, peer: { one: { ...one } }, limit, ours: metrics }
}

/** Of nobody on a usual host. */
const agentUid = 64_321

interface Cost {
  readonly p50Ms: number
  readonly p99Ms: number
  /** Until the agent had the evidence: what the kernel watch alone takes. */
  readonly evidenceP99Ms: number
  /** As the bench `bringup` counts it, but with keepalived's tests of its configs; of both processes. */
  readonly cpuMsPerRouter: number
  readonly wallS: number
  readonly totalMb: number
}

function costOf(
  uid: number | undefined,
  size: { readonly routers: number; readonly changes: number; readonly say: Options['say'] },
): Promise<Cost> {
  const shape = { routers: size.routers, ...(uid === undefined ? {} : { agentUid: uid }) }
  return withQuietHost(shape, async (world, host) => {
    const beganMs = Date.now()
    world.start(host)
    const status = await world.settle(host, size.routers, ['backup'])
    const pids = world.pids(host)
    const cpu = sum(pids.map(cpuTime).map(({ ownMs, childrenMs }) => ownMs + childrenMs))
    await wait(5000)
    const { toSubscriber, toAgent } = await measureChanges(world, host, size)
    return {
      p50Ms: percentile(toSubscriber, 50),
      p99Ms: percentile(toSubscriber, 99),
      evidenceP99Ms: percentile(toAgent, 99),
      cpuMsPerRouter: cpu / size.routers,
      wallS: (Math.max(...status.routers.map(({ sinceMs }) => sinceMs)) - beganMs) / 1000,
      totalMb: sum(pids.map((pid) => memoryOf(pid).pssKb)) / 1024,
    }
  })
}

const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0)

function middle(costs: readonly Cost[]): Cost {
  const of = (pick: (cost: Cost) => number) => rounded(median(costs.map(pick)))
  return {
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    evidenceP99Ms: of(({ evidenceP99Ms }) => evidenceP99Ms),
    cpuMsPerRouter: of(({ cpuMsPerRouter }) => cpuMsPerRouter),
    wallS: of(({ wallS }) => wallS),
    totalMb: of(({ totalMb }) => totalMb),
  }
}
