import { setTimeout as wait } from 'node:timers/promises'
import { openArm, type Arm, type Gap } from './failover-arm.ts'
import { storedFailover } from './peers.ts'
import { rounded, type Bench, type Figures, type Metrics } from './result.ts'
import { bootstrapDifference, median, percentile, seededRandom } from './statistics.ts'
import { withWorld } from './world.ts'

interface Interval {
  readonly name: keyof typeof storedFailover
  readonly advertisementInterval: string
  readonly vrrpVersion: 2 | 3
  readonly ms: number
}

const intervals: readonly Interval[] = [
  { name: '2s', advertisementInterval: '2s', vrrpVersion: 2, ms: 2000 },
  { name: '1s', advertisementInterval: '1s', vrrpVersion: 2, ms: 1000 },
  { name: '0.1s', advertisementInterval: '100ms', vrrpVersion: 3, ms: 100 },
]

/** How long an address is gone when its host dies, beside keepalived without us: same config text, same topology, same run. */
export const failover: Bench = async (options) => {
  const metrics: Record<string, Record<string, number>> = {}
  const peer: Record<string, Record<string, number>> = { bare: {}, 'keepalived 2.2.7': {} }
  const ours: Record<string, number> = {}
  const limit: Record<string, number> = {}
  for (const interval of options.quick ? intervals.slice(2) : intervals) {
    const found = await compare(interval, options)
    metrics[interval.name] = found.figures
    for (const key of ['p50Ms', 'p95Ms', 'p99Ms'] as const) {
      ours[`${interval.name} ${key}`] = found.figures[key] ?? NaN
      Object.assign(peer['bare'] ?? {}, { [`${interval.name} ${key}`]: found.bare[key] })
    }
    // The stored figures are of the address on the backup, not of the client.
    ours[`${interval.name} addressP50Ms`] = found.figures['addressP50Ms'] ?? NaN
    ours[`${interval.name} addressP99Ms`] = found.figures['addressP99Ms'] ?? NaN
    Object.assign(peer['keepalived 2.2.7'] ?? {}, {
      [`${interval.name} addressP50Ms`]: storedFailover[interval.name].p50Ms,
      [`${interval.name} addressP99Ms`]: storedFailover[interval.name].p99Ms,
    })
    ours[`${interval.name} mediansApartMs`] = Math.abs(found.figures['mediansApartMs'] ?? NaN)
    limit[`${interval.name} mediansApartMs`] = found.allowedMs
  }
  return { metrics: metrics satisfies Metrics, peer: peer satisfies Figures, limit, ours }
}

interface Comparison {
  readonly figures: Record<string, number>
  readonly bare: Readonly<Record<'p50Ms' | 'p95Ms' | 'p99Ms', number>>
  readonly allowedMs: number
}

async function compare(interval: Interval, { runs, quick, say }: Parameters<Bench>[0]): Promise<Comparison> {
  const routers = quick ? 2 : 8
  const rounds = runs ?? (quick ? 2 : 6)
  const gaps = await withWorld({ hosts: 2, ...interval }, (first) =>
    withWorld({ hosts: 2, ...interval }, async (second) => {
      using ours = await openArm(first, routers, interval.ms, true)
      using bare = await openArm(second, routers, interval.ms, false)
      await wait(2 * interval.ms)
      // Awaited here: the arms are let go when this function returns.
      return await alternate(ours, bare, rounds, (text) => {
        say(`adverts of ${interval.name}, ${text}`)
      })
    }),
  )
  const [ours, bare] = [gaps.ours.map(({ clientMs }) => clientMs), gaps.bare.map(({ clientMs }) => clientMs)]
  const address = {
    ours: gaps.ours.map(({ addressMs }) => addressMs),
    bare: gaps.bare.map(({ addressMs }) => addressMs),
  }
  const { low, high } = bootstrapDifference(ours, bare)
  const mediansApartMs = median(ours) - median(bare)
  const bareFigures = distribution(bare)
  const figures = {
    ...distribution(ours),
    mediansApartMs,
    differenceLowMs: low,
    differenceHighMs: high,
    bareP50Ms: bareFigures.p50Ms,
    bareP95Ms: bareFigures.p95Ms,
    bareP99Ms: bareFigures.p99Ms,
    addressP50Ms: percentile(address.ours, 50),
    addressP99Ms: percentile(address.ours, 99),
    bareAddressP50Ms: percentile(address.bare, 50),
    bareAddressP99Ms: percentile(address.bare, 99),
    failovers: ours.length,
    bareFailovers: bare.length,
    voided: gaps.voided,
  }
  return {
    figures: Object.fromEntries(Object.entries(figures).map(([key, figure]) => [key, rounded(figure)])),
    bare: bareFigures,
    // Apart by chance: where zero lies within the interval, its width is what chance allows.
    allowedMs: rounded(Math.max(20, low <= 0 && high >= 0 ? Math.max(-low, high) : 0)),
  }
}

/** Ours, bare, bare, ours, ...: what changes slowly on the machine falls on both. */
async function alternate(
  ours: Arm,
  bare: Arm,
  rounds: number,
  say: (text: string) => void,
): Promise<{ ours: Gap[]; bare: Gap[]; voided: number }> {
  const random = seededRandom(11)
  const found = { ours: [] as Gap[], bare: [] as Gap[], voided: 0 }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const)
    for (const who of order) {
      const all = await (who === 'ours' ? ours : bare).failOver(random)
      const gaps = all.filter((gap) => gap !== 'void')
      found.voided += all.length - gaps.length
      found[who].push(...gaps)
      say(`round ${round + 1}, ${who}: client ${gaps.map(({ clientMs }) => Math.round(clientMs)).join(' ')} ms`)
    }
  }
  return found
}

const distribution = (samples: readonly number[]): Record<'p50Ms' | 'p95Ms' | 'p99Ms', number> => ({
  p50Ms: rounded(median(samples)),
  p95Ms: rounded(percentile(samples, 95)),
  p99Ms: rounded(percentile(samples, 99)),
})
