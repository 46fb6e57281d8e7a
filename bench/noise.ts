import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { median, percentile } from './statistics.ts'
import { rounded } from './result.ts'
import { stateRoot } from './world.ts'

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
  /** One bare write of 4 KB made durable where the journals lie: nothing that is on the disk first can be faster. */
  readonly fsyncP50Ms: number
  readonly fsyncP99Ms: number
}

const sleeps = 500
const loops = 40
const writes = 200

/** Measure the machine; takes about two seconds. */
export async function measureNoise(): Promise<Noise> {
  const overshoots: number[] = []
  for (let count = 0; count < sleeps; count++) overshoots.push(await overshootMs())
  const loopTimes = Array.from({ length: loops }, loopMs)
  const fsyncs = await fsyncTimes()
  const spread = percentile(loopTimes, 95) - percentile(loopTimes, 5)
  return {
    sleepOvershootP50Ms: rounded(percentile(overshoots, 50)),
    sleepOvershootP99Ms: rounded(percentile(overshoots, 99)),
    loopMedianMs: rounded(median(loopTimes)),
    loopSpreadPercent: rounded((spread / median(loopTimes)) * 100),
    loadAverage: rounded(loadavg()[0] ?? NaN),
    fsyncP50Ms: rounded(percentile(fsyncs, 50)),
    fsyncP99Ms: rounded(percentile(fsyncs, 99)),
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

async function fsyncTimes(): Promise<number[]> {
  const directory = mkdtempSync(join(stateRoot, 'keepward-noise-'))
  const file = openSync(join(directory, 'file'), 'wx')
  const block = Buffer.alloc(4096)
  const times: number[] = []
  try {
    for (let count = 0; count < writes; count++) {
      writeSync(file, block)
      const began = performance.now()
      fsyncSync(file)
      times.push(performance.now() - began)
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
  } finally {
    closeSync(file)
    rmSync(directory, { recursive: true })
  }
  return times
}
