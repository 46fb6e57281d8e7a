import type { Anchor } from './anchor.ts'

/** A file of so many anchors is thinned. */
export const maxAnchors = 44_000
/** All of the newest are kept: a day and more of one each five seconds. */
const newest = 20_000
/** Of what is older, the last of each hour and of each start of the journal, so many at most. */
const older = 20_000
const hourMs = 3_600_000

/** Which anchors stay when there are too many, in their order. Each proves all that is before it, so that one an hour says much. */
export function thin<T extends Pick<Anchor, 'wallMs' | 'start'>>(anchors: readonly T[]): T[] {
  const old = anchors.slice(0, -newest)
  const kept = old.filter((one, index) => {
    const next = anchors[index + 1]
    return next === undefined || periodOf(next) !== periodOf(one)
  })
  return [...kept.slice(-older), ...anchors.slice(-newest)]
}

const periodOf = ({ wallMs, start }: Pick<Anchor, 'wallMs' | 'start'>): string =>
  `${start} ${Math.floor(wallMs / hourMs)}`
