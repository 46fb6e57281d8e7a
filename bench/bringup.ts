import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openNamespace } from '../src/linux/netns.ts'
import { run } from '../src/linux/run.ts'
import { cpuTime, exactCpuMs, keepalivedUnder } from './cost.ts'
import { peers } from './peers.ts'
import { rounded, type Bench } from './result.ts'
import { median } from './statistics.ts'
import { withQuietHost, type World, type WorldHost } from './world.ts'

/** Processor time and time on the wall to bring up routers from nothing, the start of the agent included. */
export const bringup: Bench = async ({ runs, quick, say }) => {
  const routers = quick ? 10 : 200
  const found: Cost[] = []
  for (let round = 1; round <= (runs ?? (quick ? 1 : 3)); round++) {
    const cost = await bringUp(routers)
    say(`run ${round}: ${JSON.stringify(cost)}`)
    found.push(cost)
  }
  const middle = (pick: (cost: Cost) => number) => rounded(median(found.map(pick)))
  const cpuMsPerRouter = middle(({ cpuMsPerRouter }) => cpuMsPerRouter)
  const metrics = {
    cpuMsPerRouter,
    agentMsPerRouter: middle(({ agentMsPerRouter }) => agentMsPerRouter),
    helperMsPerRouter: middle(({ helperMsPerRouter }) => helperMsPerRouter),
    configTestMs: middle(({ configTestMs }) => configTestMs),
    keepalivedMs: middle(({ keepalivedMs }) => keepalivedMs),
    withKeepalivedMs: middle(({ withKeepalivedMs }) => withKeepalivedMs),
    wallS: middle(({ wallS }) => wallS),
    routers,
  }
  return { metrics, peer: peers.bringup, limit: { cpuMsPerRouter: 10, withKeepalivedMs: 20 }, ours: metrics }
}

interface Cost {
  readonly cpuMsPerRouter: number
  /** The agent's own process, its start divided by the routers too. */
  readonly agentMsPerRouter: number
  /** `ip`, `getent` and whatever else ran and ended, keepalived's tests apart. */
  readonly helperMsPerRouter: number
  /** One `keepalived -t`, of which each router needs one. */
  readonly configTestMs: number
  readonly keepalivedMs: number
  readonly withKeepalivedMs: number
  readonly wallS: number
}

async function bringUp(routers: number): Promise<Cost> {
  return withQuietHost({ routers }, async (world, host) => {
    const beganMs = Date.now()
    const pid = world.start(host)
    const status = await world.settle(host, routers, ['backup'])
    const agent = cpuTime(pid)
    const daemons = keepalivedUnder(host.runDirectory).map(exactCpuMs)
    const keepalivedMs = daemons.reduce((sum, ms) => sum + ms, 0) / routers
    const configTestMs = await measureConfigTest(world, host, Math.min(routers, 100))
    const agentMsPerRouter = agent.ownMs / routers
    const helperMsPerRouter = agent.childrenMs / routers - configTestMs
    return {
      cpuMsPerRouter: agentMsPerRouter + helperMsPerRouter,
      agentMsPerRouter,
      helperMsPerRouter,
      configTestMs,
      keepalivedMs,
      withKeepalivedMs: agentMsPerRouter + helperMsPerRouter + configTestMs + keepalivedMs,
      wallS: (Math.max(...status.routers.map(({ sinceMs }) => sinceMs)) - beganMs) / 1000,
    }
  })
}

/** The same test as the agent runs, of the same config in the same namespace, run here for its cost. */
async function measureConfigTest(world: World, host: WorldHost, times: number): Promise<number> {
  const { namespace: name } = world.plan(host, 1)
  const path = join(host.runDirectory, 'routers/r1/keepalived.conf')
  readFileSync(path)
  using namespace = openNamespace(name)
  const before = cpuTime(process.pid).childrenMs
  for (let count = 0; count < times; count++) {
    await run(['keepalived', '-t', '-P', '-f', path], { namespaceFd: namespace.fd })
  }
  return (cpuTime(process.pid).childrenMs - before) / times
}
