import type { Noise } from './noise.ts'

export type Figure = number | boolean
export type Metrics = Readonly<Record<string, Figure | Readonly<Record<string, Figure>>>>
/** By whom (a peer's generation, `bare`, `limit`), then by metric. */
export type Figures = Readonly<Record<string, Readonly<Record<string, number>>>>

/** The figures of the only peer, by metric, beside which it is and whether it was measured in this run. */
export type OnePeer = Readonly<Record<string, string | number>>

/** What a bench says, printed as it is by `--json`. */
export interface Result {
  readonly name: string
  readonly metrics: Metrics
  /** Figures of others; which stand stored and which come from this run is said in docs/bench.md. */
  readonly peer: Figures | OnePeer
  /** Ours divided by the peer's, and by the limit we set ourselves; with one peer by its figures alone. */
  readonly ratio: Figures | Readonly<Record<string, number>>
  readonly noise: { readonly before: Noise; readonly after: Noise }
}

export interface Options {
  /** How often each measurement is repeated; undefined: as many as the bench takes for a sound figure. */
  readonly runs: number | undefined
  /** Small and short: shows that the bench works, its figures mean little. */
  readonly quick: boolean
  /** Progress, for a person. */
  readonly say: (text: string) => void
}

export interface Measured {
  readonly metrics: Metrics
  readonly peer: Figures
  /** The one key of `peer`, from a bench whose result has one peer. */
  readonly generation?: string
  /** What each metric should not exceed. */
  readonly limit: Readonly<Record<string, number>>
  /** The figures that `peer` and `limit` are compared with, by the same keys. */
  readonly ours: Readonly<Record<string, number>>
}

export type Bench = (options: Options) => Promise<Measured>

export function resultOf(name: string, measured: Measured, noise: Result['noise']): Result {
  const { metrics, peer, generation } = measured
  const ratio = ratios(measured)
  if (generation === undefined) return { name, metrics, peer, ratio, noise }
  return { name, metrics, peer: { generation, ...peer[generation] }, ratio: ratio[generation] ?? {}, noise }
}

/** Ours over theirs where both have the figure; a zero has no ratio. */
export function ratios({ ours, peer, limit }: Measured): Figures {
  const over = (theirs: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(theirs).flatMap(([key, figure]) => {
        const own = ours[key]
        return own === undefined || figure === 0 ? [] : [[key, rounded(own / figure)] as const]
      }),
    )
  return Object.fromEntries(Object.entries({ limit, ...peer }).map(([who, figures]) => [who, over(figures)]))
}

/** Four significant digits: more would only show noise. */
export const rounded = (value: number): number => (Number.isFinite(value) ? Number(value.toPrecision(4)) : value)
