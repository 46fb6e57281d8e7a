import type { Noise } from './noise.ts'
import { ratios, type Figure, type Measured, type Result } from './result.ts'

/** A result as a table for a person. */
export function printTable({ name, metrics, noise }: Result, measured: Measured): string {
  const { limit, peer } = measured
  const ratio = ratios(measured)
  const rows = flat(metrics).map(([key, figure]) => [
    key,
    String(figure),
    String(limit[key] ?? ''),
    ...Object.keys(peer).map((who) => {
      const theirs = peer[who]?.[key]
      const times = ratio[who]?.[key]
      return theirs === undefined ? '' : `${theirs}${times === undefined ? '' : ` (x ${times})`}`
    }),
  ])
  const head = [name, 'ours', 'limit', ...Object.keys(peer)]
  return `\n${align([head, ...rows])}\nmachine before: ${noiseText(noise.before)}\nmachine after:  ${noiseText(noise.after)}\n`
}

function flat(metrics: Result['metrics']): [string, Figure][] {
  return Object.entries(metrics).flatMap(([key, value]) =>
    typeof value === 'object'
      ? Object.entries(value).map(([inner, figure]): [string, Figure] => [`${key} ${inner}`, figure])
      : [[key, value]],
  )
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

const noiseText = (noise: Noise): string =>
  `1 ms sleep +${noise.sleepOvershootP50Ms} ms (p99 +${noise.sleepOvershootP99Ms}), ` +
  `fixed work ${noise.loopMedianMs} ms +-${noise.loopSpreadPercent} %, fsync ${noise.fsyncP50Ms} ms (p99 ${noise.fsyncP99Ms}), load ${noise.loadAverage}`
