import type { Report } from '../../src/report/report.ts'

/** That a router became primary, as a sink is told. */
export const transitionReport = (router: string, seq: number): Report => ({
  router,
  record: {
    ...{ seq, kind: 'transition', agent: 'host.1', epoch: { journal: 'e'.repeat(32), start: 2 }, boot: 'b' },
    ...{ at: { wallMs: Date.parse('2026-11-22T04:00:00.250Z') + 0.5, monoMs: 12.5 }, late: false },
    ...{
      body: { from: 'backup', to: 'primary' },
      previous: '0'.repeat(64),
      hash: '1'.repeat(64),
      router,
      routerSeq: 3,
    },
  },
  fromSeq: seq - 2,
  isRepeat: false,
})
