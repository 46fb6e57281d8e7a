import { setTimeout as wait } from 'node:timers/promises'
import { memoryOf, type Memory } from './cost.ts'
import { peers } from './peers.ts'
import { collectGarbage } from './program.ts'
import { rounded, type Bench } from './result.ts'
import { median, slope } from './statistics.ts'
import { withQuietHost } from './world.ts'

/** Memory of the agent at several numbers of routers, each with an agent of its own, after a forced collection. */
export const memory: Bench = async ({ runs, quick, say }) => {
  const sizes = quick ? [0, 5, 10] : [0, 50, 200]
  const slopes: number[] = []
  const upperSlopes: number[] = []
  const points = new Map<number, Memory[]>(sizes.map((size) => [size, []]))
  for (let run = 1; run <= (runs ?? (quick ? 1 : 3)); run++) {
    const line: [number, number][] = []
    for (const size of sizes) {
      const used = await memoryAt(size)
      say(`run ${run}: ${size} routers: PSS ${used.pssKb} KB, anonymous ${used.anonymousKb} KB`)
      points.get(size)?.push(used)
      line.push([size, used.pssKb])
    }
    slopes.push(slope(line))
    upperSlopes.push(slope(line.slice(1)))
  }
  const last = points.get(sizes.at(-1) ?? 0) ?? []
  const totalMb = median(last.map(({ pssKb }) => pssKb)) / 1024
  const metrics = {
    slopeKb: rounded(median(slopes)),
    slopeLowestKb: rounded(Math.min(...slopes)),
    slopeHighestKb: rounded(Math.max(...slopes)),
    // Without the first routers, which bring the code that all of them use.
    slopeUpperKb: rounded(median(upperSlopes)),
    totalMb: rounded(totalMb),
    routers: sizes.at(-1) ?? 0,
    ...Object.fromEntries(
      [...points].flatMap(([size, found]) => [
        [`pssMbAt${size}`, rounded(median(found.map(({ pssKb }) => pssKb)) / 1024)] as const,
        [`anonymousMbAt${size}`, rounded(median(found.map(({ anonymousKb }) => anonymousKb)) / 1024)] as const,
      ]),
    ),
  }
  return {
    metrics,
    peer: peers.memory,
    limit: { slopeKb: 32, totalMb: 140 },
    ours: { slopeKb: metrics.slopeKb, totalMb },
  }
}

/** So long that every router has been through several reconcile passes. */
const settledMs = 8000

async function memoryAt(routers: number): Promise<Memory> {
  return withQuietHost({ routers, collecting: true }, async (world, host) => {
    world.start(host)
    await world.settle(host, routers, ['backup'])
    await wait(settledMs)
    const pid = world.agentPid(host)
    await collectGarbage(pid, world.directory)
    return memoryOf(pid)
  })
}
