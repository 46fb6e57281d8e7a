/** Something that happened, seen from somewhere; all hosts of a lab share one clock. */
export interface Moment {
  readonly atMs: number
  readonly where: string
  readonly what: string
}

/** Moments in order, with milliseconds from `zeroMs`. */
export function renderTimeline(moments: readonly Moment[], zeroMs: number): string {
  const rows = moments
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, where, what }) => ({
      at: `${(atMs - zeroMs >= 0 ? '+' : '') + (atMs - zeroMs).toFixed(1)} ms`,
      where,
      what,
    }))
  const width = (of: (row: (typeof rows)[number]) => string) => Math.max(...rows.map((row) => of(row).length))
  const [atWidth, whereWidth] = [width((row) => row.at), width((row) => row.where)]
  return rows.map(({ at, where, what }) => `  ${at.padStart(atWidth)}  ${where.padEnd(whereWidth)}  ${what}`).join('\n')
}
