import { setTimeout as wait } from 'node:timers/promises'
import { follow, type Seen } from './follow.ts'
import { openMarkers } from './marker.ts'
import { peers } from './peers.ts'
import { rounded, type Bench } from './result.ts'
import { percentile, seededRandom } from './statistics.ts'
import { withQuietHost } from './world.ts'

/** From an address change in a namespace to a subscriber that has read the durable record. */
export const latency: Bench = async ({ runs, quick, say }) => {
  const routers = quick ? 10 : 200
  const changes = (runs ?? 1) * (quick ? 60 : 600)
  const samples = await withQuietHost({ routers }, async (world, host) => {
    world.start(host)
    await world.settle(host, routers, ['backup'])
    await wait(5000)
    const markers = openMarkers(world, host, routers)
    using follower = await follow(world, host)
    const random = seededRandom(7)
    const changed: Change[] = []
    // The first change of each router is practice: it compiles the code that runs ever after.
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
    return { practice, pairs: pair(changed, seen), seen, changed }
  })
  const measured = samples.pairs.filter(({ index }) => index >= samples.practice)
  const toSubscriber = measured.map(({ change, seen }) => seen.seenMs - change.beforeMs)
  const toAgent = measured.map(({ change, seen }) => seen.atMs - change.beforeMs)
  const p50Ms = rounded(percentile(toSubscriber, 50))
  const p99Ms = rounded(percentile(toSubscriber, 99))
  const metrics = {
    p50Ms,
    p95Ms: rounded(percentile(toSubscriber, 95)),
    p99Ms,
    maxMs: rounded(Math.max(...toSubscriber)),
    evidenceP50Ms: rounded(percentile(toAgent, 50)),
    evidenceP99Ms: rounded(percentile(toAgent, 99)),
    changes: measured.length,
    lost: samples.changed.length - samples.seen.length,
    routers,
  }
  return { metrics, peer: peers.latency, limit: { p50Ms: 1.5, p99Ms: 5 }, ours: { p50Ms, p99Ms } }
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
