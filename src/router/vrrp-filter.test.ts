import { expect, test } from 'vitest'
import { at, routerSpec } from '../../test/support/router.ts'
import type { FilterEvidence, SettingsEvidence, Stranger } from './evidence.ts'
import { newRouter } from './router.ts'
import type { RouterSpec } from './spec.ts'
import { judgeFilter } from './vrrp-filter.ts'

function judge(filter: FilterEvidence, spec: RouterSpec = routerSpec()) {
  const settings: SettingsEvidence = {
    kind: 'seen',
    namespaceReady: true,
    wantedDigest: '',
    writtenDigest: '',
    change: 'none',
    misattached: [],
    reactions: [],
    hooks: [],
    filter,
    asOf: at(0),
  }
  const router = { ...newRouter(spec.id, undefined, at(0)), settings }
  return judgeFilter(router, spec, at(10_000)).filter(([, text]) => text !== undefined)
}

const stranger = (source: string, lastMs: number, device = 'ha0'): Stranger => ({
  source,
  interface: device,
  packets: 3,
  lastSeen: at(lastMs),
})

test('judgeFilter() names the latest strangers, where they came in, how many packets and how long ago', () => {
  const strangers = [7000, 1000, 9000, 2000, 3000, 4000].map((ms, index) => stranger(`10.0.0.${String(index)}`, ms))
  expect(judge({ kind: 'ready', strangers })).toEqual([
    [
      'vrrp-stranger',
      '10.0.0.2 on ha0: 3 dropped, the last 1.0s ago; 10.0.0.0 on ha0: 3 dropped, the last 3.0s ago; 10.0.0.5 on ha0: 3 dropped, the last 6.0s ago; 10.0.0.4 on ha0: 3 dropped, the last 7.0s ago; 10.0.0.3 on ha0: 3 dropped, the last 8.0s ago; and 1 more',
    ],
  ])
})

test('judgeFilter() says what is wrong with the adverts of a declared peer', () => {
  const strangers = [stranger('169.254.192.2', 9000), stranger('169.254.192.2', 8000, 'ext0')]
  expect(judge({ kind: 'ready', strangers })).toEqual([
    [
      'vrrp-stranger',
      '169.254.192.2 on ha0 (a declared peer, but with too low a hop limit): 3 dropped, the last 1.0s ago; 169.254.192.2 on ext0 (a declared peer, but not on ha0): 3 dropped, the last 2.0s ago',
    ],
  ])
})

test('judgeFilter() has nothing to say of a filter in force that nobody ran into, nor of one not yet made', () => {
  expect(judge({ kind: 'ready', strangers: [] })).toEqual([])
  expect(judge({ kind: 'missing', failure: undefined })).toEqual([])
})

test('judgeFilter() says why there is no filter', () => {
  const failure = { why: 'The kernel has no nf_tables', at: at(0) }
  expect(judge({ kind: 'missing', failure })).toEqual([['vrrp-unfiltered', 'The kernel has no nf_tables']])
})

test('judgeFilter() tells of multicast without declared peers, and not where there are declared to be none', () => {
  const multicast = (peers: readonly string[] | undefined) => routerSpec({ advertise: { kind: 'multicast', peers } })
  const ready = { kind: 'ready', strangers: [] } as const
  expect(judge(ready, multicast(undefined))).toEqual([['vrrp-peers-undeclared', 'anyone on ha0 may speak VRRP to it']])
  expect(judge(ready, multicast([]))).toEqual([])
})
