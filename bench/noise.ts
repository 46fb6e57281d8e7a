import { loadavg } from 'node:os'
import { median, percentile } from './statistics.ts'
import { rounded } from './result.ts'

/** How quiet the machine is: differences between runs that are below this mean nothing. */
export interface Noise {
  /** By how much a sleep of 1 ms was too long. */
  readonly sleepOvershootP50Ms: number
  readonly sleepOvershootP99Ms: number
  /** A fixed piece of work on one processor. */
  readonly loopMedianMs: number
  /** (p95 - p5) / median of it. */
  readonly loopSpreadPercent: number
  readonly loadAverage: number
}

const sleeps = 500
const loops = 40

/** Measure the machine; takes about a second. */
export async function measureNoise(): Promise<Noise> {
  const overshoots: number[] = []
  for (let count = 0; count < sleeps; count++) overshoots.push(await overshootMs())
  const loopTimes = Array.from({ length: loops }, loopMs)
  const spread = percentile(loopTimes, 95) - percentile(loopTimes, 5)
  return {
    sleepOvershootP50Ms: rounded(percentile(overshoots, 50)),
    sleepOvershootP99Ms: rounded(percentile(overshoots, 99)),
    loopMedianMs: rounded(median(loopTimes)),
    loopSpreadPercent: rounded((spread / median(loopTimes)) * 100),
    loadAverage: rounded(loadavg()[0] ?? NaN),
  }
}

/** Node's timers count whole milliseconds from the start of the loop's turn, so up to one of it is its own. */
async function overshootMs(): Promise<number> {
  const began = performance.now()
  await new Promise((resolve) => setTimeout(resolve, 1))
  return Math.max(0, performance.now() - began - 1)
}

let sink = 0

function loopMs(): number {
  const began = performance.now()
  for (let step = 0; step < 5_000_000; step++) sink = (sink * 31 + step) | 0
  return performance.now() - began
}
