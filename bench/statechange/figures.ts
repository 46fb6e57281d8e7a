import { rounded } from '../result.ts'
import { median } from '../statistics.ts'
import { failuresOf, type Load, type Sent } from './load.ts'

/** What one server was measured at, by key; a rate is in requests a second. */
export type ServerFigures = Readonly<Record<string, number>>

/** One load, and which figures it gives. */
export interface Measurement {
  readonly load: Load
  readonly read: (sent: Sent) => ServerFigures
}

export function measurements(seconds: number): Measurement[] {
  const closing = [1, 8, 64].map((clients): Measurement => ({
    load: { mode: 'close', clients, seconds },
    read: (sent) => ({ [`closeRps${clients}`]: sent.rate, [`p99Ms${clients}`]: milliseconds(sent.p99Us) }),
  }))
  return [
    ...closing,
    {
      load: { mode: 'kept', clients: 64, seconds },
      read: (sent) => ({
        keepaliveRps64: sent.rate,
        keepaliveMaxMs64: milliseconds(sent.maxUs),
        // 1: every connection got as many answers as any other.
        keepaliveLeastShare64: sent.leastServed / sent.mostServed,
      }),
    },
    {
      load: { mode: 'burst', clients: 2000 },
      read: (sent) => ({ burst2000Ms: sent.lastMs, burst2000Again: sent.again }),
    },
  ]
}

export const milliseconds = (microseconds: number | null): number => rounded((microseconds ?? NaN) / 1000)

/** Of all rounds, the median of each figure and by how much of it the rounds lie apart, in percent. */
export function summary(rounds: readonly ServerFigures[]): {
  readonly medians: ServerFigures
  readonly spreadPercent: ServerFigures
} {
  const of = (figure: (samples: readonly number[]) => number) =>
    Object.fromEntries(
      Object.keys(rounds[0] ?? {}).map((key) => [key, rounded(figure(rounds.map((round) => round[key] ?? NaN)))]),
    )
  return { medians: of(median), spreadPercent: of(spreadPercent) }
}

function spreadPercent(samples: readonly number[]): number {
  const width = Math.max(...samples) - Math.min(...samples)
  return width === 0 ? 0 : (width / median(samples)) * 100
}

/** What is wanted of us beside a peer; a rate is to be at least that, a time at most. */
export function wanted(peer: ServerFigures): ServerFigures {
  const times = { closeRps1: 0.7, closeRps8: 2.5, closeRps64: 5, p99Ms64: 1 / 3, keepaliveRps64: 5, burst2000Ms: 1 / 5 }
  const limits = Object.entries(times).flatMap(([key, factor]) => {
    const theirs = peer[key]
    return theirs === undefined ? [] : [[key, rounded(theirs * factor)] as const]
  })
  return { ...Object.fromEntries(limits), floodP99Ratio: 5, identifyUs: 5 }
}

/** For the person who waits: what a load came to. */
export function sentText(server: string, load: Load, sent: Sent): string {
  const pace =
    load.mode === 'burst' ? `last after ${sent.lastMs} ms` : `${sent.rate}/s, p99 ${milliseconds(sent.p99Us)} ms`
  const failures = failuresOf(sent)
  const { not200, errors, skipped, connectError } = sent
  const detail =
    failures === 0 ? '' : `; ${failures} failed: ${JSON.stringify({ not200, errors, skipped, connectError })}`
  return `${server} ${load.mode} ${load.clients}: ${pace}${detail}`
}
