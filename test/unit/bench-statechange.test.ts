import { describe, expect, it } from 'vitest'
import { resultOf, type Measured } from '../../bench/result.ts'
import { summary, wanted } from '../../bench/statechange/figures.ts'
import { failuresOf, loadWords, type Sent } from '../../bench/statechange/load.ts'

const sent: Sent = {
  answered: 0,
  rate: 0,
  lastMs: 0,
  again: 0,
  skipped: 0,
  leastServed: 0,
  mostServed: 0,
  p50Us: null,
  p99Us: null,
  p999Us: null,
  maxUs: null,
  not200: {},
  errors: {},
  connectError: '',
}

describe('summary()', () => {
  it('gives the median of each figure, and by how much of it the rounds lie apart', () => {
    const rounds = [{ closeRps1: 100 }, { closeRps1: 125 }, { closeRps1: 80 }]
    expect(summary(rounds)).toEqual({ medians: { closeRps1: 100 }, spreadPercent: { closeRps1: 45 } })
  })

  it('gives no spread when all are zero', () => {
    expect(summary([{ again: 0 }, { again: 0 }]).spreadPercent).toEqual({ again: 0 })
  })
})

describe('wanted()', () => {
  it('follows from the figures of the peer, as far as there are any', () => {
    expect(wanted({ closeRps64: 3696, p99Ms64: 21.6, keepaliveMaxMs64: 2540 })).toEqual({
      closeRps64: 18480,
      p99Ms64: 7.2,
      floodP99Ratio: 5,
      identifyUs: 5,
    })
  })
})

describe('failuresOf()', () => {
  it('counts answers that were not 200, requests without an answer, and those that could not begin', () => {
    const failed = { ...sent, skipped: 1, not200: { 403: 10, 503: 100 }, errors: { reset: 1000, closedEarly: 10_000 } }
    expect(failuresOf(failed)).toBe(11_111)
    expect(failuresOf({ ...sent, answered: 5, again: 7 })).toBe(0)
  })
})

describe('loadWords()', () => {
  it('names what the load has', () => {
    expect(loadWords('/s', { mode: 'burst', clients: 2000 }).join(' ')).toBe(
      '--socket /s --mode burst --clients 2000 --router-id r# --routers 2000',
    )
    expect(loadWords('/s', { mode: 'paced', clients: 2, seconds: 3, everyMs: 5, uid: 7 }).join(' ')).toBe(
      '--socket /s --mode paced --clients 2 --seconds 3 --every-ms 5 --uid 7 --router-id r# --routers 2000',
    )
  })
})

describe('resultOf()', () => {
  const noise = {} as Parameters<typeof resultOf>[2]
  const measured: Measured = { metrics: {}, peer: { 'g1 live': { rps: 50 } }, limit: { rps: 80 }, ours: { rps: 100 } }

  it('tells the figures and ratios of the only peer directly', () => {
    const result = resultOf('x', { ...measured, generation: 'g1 live' }, noise)
    expect(result.peer).toEqual({ generation: 'g1 live', rps: 50 })
    expect(result.ratio).toEqual({ rps: 2 })
  })

  it('tells those of several by peer, and of the limit', () => {
    expect(resultOf('x', measured, noise).ratio).toEqual({ limit: { rps: 1.25 }, 'g1 live': { rps: 2 } })
  })
})
