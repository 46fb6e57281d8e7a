import type { Figures } from './result.ts'

/**
 * Stored figures of what Keepward replaces, measured on 2 cores, Linux 6.18, keepalived 2.2.7: g1 is Neutron 21.0.0, g2
 * 2025.1, g3 the shell monitor of its development branch. How and at how many routers: docs/bench.md.
 */
export const peers = {
  memory: { g1: { slopeKb: 131_072, totalMb: 132 }, g3: { slopeKb: 481 } },
  bringup: { g1: { cpuMsPerRouter: 1450 }, g3: { cpuMsPerRouter: 32 } },
  latency: { g1: { p50Ms: 479, p99Ms: 976 }, g2: { p50Ms: 22, p99Ms: 41 }, g3: { p50Ms: 27, p99Ms: 66 } },
  storm: { g1: { lastDurableMs: 1180, lost: 0 }, g3: { lost: 182 } },
  statechange: {
    g1: {
      closeRps1: 2972,
      closeRps8: 3481,
      closeRps64: 3696,
      p99Ms1: 0.47,
      p99Ms8: 2.82,
      p99Ms64: 21.6,
      keepaliveRps64: 6616,
      burst2000Ms: 636,
    },
  },
} as const satisfies Readonly<Record<string, Figures>>

/** From the death of both processes to the address on the backup; bare keepalived 2.2.7. */
export const storedFailover = {
  '2s': { p50Ms: 5630, p99Ms: 6692 },
  '1s': { p50Ms: 3172, p99Ms: 3777 },
  '0.1s': { p50Ms: 324, p99Ms: 380 },
} as const
