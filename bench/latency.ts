import { setTimeout as wait } from 'node:timers/promises'
import { watchDisk } from './disk.ts'
import { follow, type Follower, type Seen } from './follow.ts'
import { openMarkers } from './marker.ts'
import { peers } from './peers.ts'
import { rounded, type Bench, type Options } from './result.ts'
import { percentile, seededRandom } from './statistics.ts'
import { withQuietHost, type World, type WorldHost } from './world.ts'

/** From an address change in a namespace to a subscriber that has read the durable record. */
export const latency: Bench = async ({ runs, quick, say }) => {
  const routers = quick ? 10 : 200
  const changes = (runs ?? 1) * (quick ? 60 : 600)
  const { toSubscriber, toAgent, disk, lost } = await withQuietHost({ routers }, async (world, host) => {
    world.start(host)
    await world.settle(host, routers, ['backup'])
    await wait(5000)
    return measureChanges(world, host, { routers, changes, say })
  })
  const p50Ms = rounded(percentile(toSubscriber, 50))
  const p99Ms = rounded(percentile(toSubscriber, 99))
  const metrics = {
    p50Ms,
    p95Ms: rounded(percentile(toSubscriber, 95)),
    p99Ms,
    maxMs: rounded(Math.max(...toSubscriber)),
    evidenceP50Ms: rounded(percentile(toAgent, 50)),
    evidenceP99Ms: rounded(percentile(toAgent, 99)),
    changes: toSubscriber.length,
    lost,
    routers,
  }
  return {
    metrics,
    peer: { ...peers.latency, disk: diskFigures(disk) },
    limit: { p50Ms: 1.5, p99Ms: 5 },
    ours: { p50Ms, p99Ms },
  }
}

/** Nothing that is on the disk first can be faster than the disk. */
export const diskFigures = (times: readonly number[]) => ({
  p50Ms: rounded(percentile(times, 50)),
  p99Ms: rounded(percentile(times, 99)),
})

export interface Size {
  readonly routers: number
  readonly say: Options['say']
  /** Who has heard of a change; a subscriber of the agent unless told. */
  readonly followWith?: (world: World, host: WorldHost) => Promise<Follower>
}

/** Times in milliseconds from each change on, and how many changes have no record. */
export interface ChangeTimes {
  /** Until a subscriber had the durable record. */
  readonly toSubscriber: readonly number[]
  /** Until the agent had the evidence. */
  readonly toAgent: readonly number[]
  /** Of another one that writes to the same disk meanwhile, until it is there. */
  readonly disk: readonly number[]
  readonly lost: number
}

/** Change markers of settled routers one at a time, after some for practice, which compile the code that runs ever after. */
export async function measureChanges(
  world: World,
  host: WorldHost,
  { routers, changes, say, followWith = follow }: Size & { readonly changes: number },
): Promise<ChangeTimes> {
  const markers = openMarkers(world, host, routers)
  using follower = await followWith(world, host)
  using disk = watchDisk(host.lab.directory)
  const random = seededRandom(7)
  const changed: Change[] = []
  const practice = Math.min(100, routers)
  say(`${practice} changes for practice, then ${changes}`)
  for (let count = 0; count < practice + changes; count++) {
    const marker = markers[count < practice ? count : Math.floor(random() * routers)]
    if (marker !== undefined) changed.push({ router: marker.router, ...marker.flip() })
    // Beside the pace of any timer of the agent.
    await wait(15 + random() * 10)
  }
  const seen = await follower.wait(changed.length, 0, 5000)
  for (const marker of markers) marker.close()
  say(`${seen.length} of ${changed.length} seen`)
  const measured = pair(changed, seen).filter(({ index }) => index >= practice)
  return {
    toSubscriber: measured.map((one) => one.seen.seenMs - one.change.beforeMs),
    toAgent: measured.map((one) => one.seen.atMs - one.change.beforeMs),
    disk: await disk.times(),
    lost: changed.length - seen.length,
  }
}

interface Change {
  readonly router: string
  readonly to: string
  readonly beforeMs: number
}

/** Each change with the record of it: the next one of its router to the same role. */
function pair(changes: readonly Change[], seen: readonly Seen[]): { index: number; change: Change; seen: Seen }[] {
  const waiting = new Map<string, Seen[]>()
  for (const one of seen) waiting.set(one.router, [...(waiting.get(one.router) ?? []), one])
  return changes.flatMap((change, index) => {
    const next = waiting.get(change.router)?.[0]
    if (next?.to !== change.to) return []
    waiting.get(change.router)?.shift()
    return [{ index, change, seen: next }]
  })
}
