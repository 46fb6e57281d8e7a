import { expect, test } from 'vitest'
import { recordOf, routerOf } from '../../../test/support/neutron-sink.ts'
import { Outbox } from '../outbox.ts'
import type { Report } from '../report.ts'
import { smoothing } from './smoothing.ts'
import { stateOf } from './translate.ts'

const router = routerOf(1)
const windowMs = 2000

/** What Neutron is told when these roles come at these moments, and when; `known`: what it has confirmed before. */
function told(
  known: 'active' | 'standby' | undefined,
  arrivals: readonly (readonly [atMs: number, role: string])[],
): string[] {
  const outbox = new Outbox('latest', 0)
  const weigh = smoothing(windowMs)
  const said: string[] = []
  let confirmed: Report | undefined =
    known &&
    ({
      router,
      record: recordOf(router, 1, known === 'active' ? 'primary' : 'backup'),
      fromSeq: 1,
      isRepeat: false,
    } as const)
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 100) {
    for (const [atMs, role] of arrivals) if (atMs === nowMs) outbox.read(recordOf(router, 100 + atMs, role), nowMs)
    for (let due = outbox.next(nowMs); due !== undefined; due = outbox.next(nowMs)) {
      const { report, firstMs } = due
      const verdict = weigh(report, { nowMs, firstMs, flapsUntilMs: 60_000, confirmed })
      if (typeof verdict === 'object') {
        outbox.held(report, verdict.untilMs)
        continue
      }
      outbox.ended(report)
      if (verdict === 'known') continue
      said.push(`${stateOf(report) ?? ''} at ${String(nowMs)}`)
      confirmed = report
    }
  }
  return said
}

/*
 * neutron.md 1.3, with a window of 2 s and a server that has the router as standby; P is primary, B backup. What Neutron's agent does stands
 * beside it: it throws away what has changed meanwhile, and looks at nothing again.
 */
test.each<[string, string, readonly (readonly [number, string])[], readonly string[]]>([
  ['P', 'once, a window later', [[0, 'primary']], ['active at 2000']],
  [
    'P, B within the window',
    'neither',
    [
      [0, 'primary'],
      [500, 'backup'],
    ],
    [],
  ],
  [
    'P, B, P within the window',
    'once, timer not restarted',
    [
      [0, 'primary'],
      [500, 'backup'],
      [1500, 'primary'],
    ],
    ['active at 2000'],
  ],
  [
    'P, B, P, B',
    'nothing',
    [
      [0, 'primary'],
      [500, 'backup'],
      [1000, 'primary'],
      [1500, 'backup'],
    ],
    [],
  ],
  [
    'P, P',
    'once',
    [
      [0, 'primary'],
      [500, 'primary'],
    ],
    ['active at 2000'],
  ],
  [
    'B, P at once after it',
    'nothing, P is lost',
    [
      [0, 'backup'],
      [0, 'primary'],
    ],
    ['active at 2000'],
  ],
])(
  '%s: Neutron’s agent tells %s; here a standby router is told as it is in the end',
  (_, _theirs, arrivals, wanted) => {
    expect(told('standby', arrivals)).toEqual(wanted)
  },
)

test.each<[string, readonly (readonly [number, string])[], readonly string[]]>([
  ['B', [[0, 'backup']], ['standby at 0']],
  [
    'B, P',
    [
      [0, 'backup'],
      [500, 'primary'],
    ],
    ['standby at 0', 'active at 2500'],
  ],
  [
    'B, P, B',
    [
      [0, 'backup'],
      [500, 'primary'],
      [1000, 'backup'],
    ],
    ['standby at 0'],
  ],
  [
    'fault, backup',
    [
      [0, 'fault'],
      [500, 'backup'],
    ],
    ['standby at 0'],
  ],
  [
    'unknown, primary',
    [
      [0, 'unknown'],
      [500, 'primary'],
    ],
    ['unknown at 0', 'active at 2500'],
  ],
  [
    'B, P for good, B',
    [
      [0, 'backup'],
      [500, 'primary'],
      [5000, 'backup'],
    ],
    ['standby at 0', 'active at 2500', 'standby at 5000'],
  ],
])('%s of an active router: what is lost is told at once, what is won a window later', (_, arrivals, wanted) => {
  expect(told('active', arrivals)).toEqual(wanted)
})

test('a full report is told at once, whatever was confirmed', () => {
  const report = { router, record: recordOf(router, 1, 'primary'), fromSeq: 1, isRepeat: true }
  expect(smoothing(windowMs)(report, { nowMs: 5, firstMs: 5, flapsUntilMs: 99_999, confirmed: report })).toBe('now')
})

test.each([
  ['the interval of its router where no window is set', undefined, 700, 705],
  ['the window that is set', 300, 700, 305],
  ['Neutron’s own interval where nobody knows better', undefined, undefined, 2005],
])('a new primary is told after %s', (_, window, advertisementIntervalMs, untilMs) => {
  const report = { router, record: recordOf(router, 1, 'primary'), fromSeq: 1, isRepeat: false }
  const past = { nowMs: 6, firstMs: 5, flapsUntilMs: undefined, confirmed: undefined, advertisementIntervalMs }
  expect(smoothing(window)(report, past)).toEqual({ untilMs })
})
