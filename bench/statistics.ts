/** The value below which `percent` of the samples lie, nearest rank; NaN without samples. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = samples.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN
}

/** The middle of the samples, of the two middle ones when their number is even. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((one, other) => one - other)
  const upper = sorted[sorted.length >> 1] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? NaN)) / 2
}

/** Slope of the least-squares line through (x, y). */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return above / below
}

const resamplings = 4000

/**
 * The 95 % interval of median(one) - median(other) by the percentile bootstrap (Efron). The same samples give the same
 * interval: the random numbers are seeded.
 */
export function bootstrapDifference(
  one: readonly number[],
  other: readonly number[],
): { readonly low: number; readonly high: number } {
  const random = seededRandom(1)
  const resample = (samples: readonly number[]) =>
    samples.map(() => samples[Math.floor(random() * samples.length)] ?? NaN)
  const differences = Array.from({ length: resamplings }, () => median(resample(one)) - median(resample(other)))
  return { low: percentile(differences, 2.5), high: percentile(differences, 97.5) }
}

/** Uniform in [0, 1): mulberry32, good enough to shuffle samples. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
