import { away, bare, fleet, fleetBack, oneAgent, openPlace } from './nats/measure.ts'
import { rounded, type Bench } from './result.ts'
import { median } from './statistics.ts'

/**
 * From the journal to NATS: what one agent and 200 of them bring into it, and how soon one is current again that was away. The servers are
 * those of deploy/nats/, a single one and then a cluster, of the program installed or KEEPWARD_NATS_SERVER; from 2.10 on the single one is measured with
 * `sync_interval: always` too.
 */
export const nats: Bench = async ({ runs, quick, say }) => {
  const rounds = runs ?? (quick ? 1 : 3)
  const scale = quick ? 20 : 1
  const found = { bare: Array.of<number>(), one: Array.of<number>(), fleet: Array.of<number>() }
  const [synced, replicated] = [Array.of<number>(), Array.of<number>()]
  const [waits, backs] = [Array.of<number>(), Array.of<number>()]
  let version = ''
  for (let round = 1; round <= rounds; round++) {
    {
      await using place = await openPlace()
      version = place.version
      say(`nats-server ${version}, round ${String(round)} of ${String(rounds)}`)
      found.bare.push(await bare(place, 60_000 / scale))
      found.one.push(await oneAgent(place, 60_000 / scale))
      found.fleet.push(await fleet(place, 60_000 / scale))
      waits.push(await away(place, 100_000 / scale))
      backs.push(await fleetBack(place))
    }
    {
      await using cluster = await openPlace(3)
      replicated.push(await fleet(cluster, 60_000 / scale))
    }
    if (!knowsSync(version)) continue
    await using careful = await openPlace(1, true)
    synced.push(await fleet(careful, 20_000 / scale))
  }
  if (synced.length === 0) say('sync_interval: always is not measured: nats-server 2.10 has it first')
  const ours = {
    oneAgentPerSecond: rounded(median(found.one)),
    fleetPerSecond: rounded(median(found.fleet)),
    awayMs: rounded(median(waits)),
  }
  const library = rounded(median(found.bare))
  return {
    metrics: {
      ...{ ...ours, awayMaxMs: rounded(Math.max(...waits)), fleetBackMs: rounded(median(backs)) },
      fleetReplicatedPerSecond: rounded(median(replicated)),
      ...(synced.length === 0 ? {} : { fleetSyncedPerSecond: rounded(median(synced)) }),
    },
    peer: { library: { oneAgentPerSecond: library, fleetPerSecond: library } },
    // A rate is to be at least that, a time at most.
    limit: { oneAgentPerSecond: 5000, fleetPerSecond: 10_000, awayMs: 2000 },
    ours,
  }
}

function knowsSync(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 2 || (major === 2 && minor >= 10)
}
