import { expect, test } from 'vitest'
import type { AgentStatus } from './api.ts'
import { makeMetrics } from './metrics.ts'

test('render() says of each sink what waits and how long ago its last error was, where it had one', async () => {
  const sink = { type: 'nats' as const, state: 'ready' as const, delivered: 41, failures: 3, refused: ['r1'] }
  const status: AgentStatus = {
    agent: { id: 'host1', version: '1', pid: 4, startedMs: 0, boot: 'b', journal: 'j', start: 1, configDigest: 'd' },
    ...{ asOfMs: 0, health: 'healthy', conditions: [], routers: [], claims: [] },
    journal: { state: 'ok', durableSeq: 12, pending: 0, lost: 0, retainedFromSeq: 1, sizeBytes: 4096 },
    sinks: [
      { ...sink, name: 'one', waiting: 2, oldestMs: 1500, lastError: 'timed out', lastErrorMs: 9000 },
      { ...sink, name: 'other', waiting: 0 },
    ],
  }
  const text = await makeMetrics().render({
    status: () => status,
    host: () => ({ netlinkOverruns: 0, recheckDifferences: 0, notifyRejected: 0 }),
    queued: () => 0,
    hooks: () => ({ waiting: 0, dropped: 0, coalesced: 0 }),
    stateChange: () => ({ unmatched: 0, messagesWaiting: 0, connectionsWaiting: 0 }),
    subscribers: () => 0,
  })
  const lines = text.split('\n').filter((line) => line.startsWith('keepward_sink'))
  expect(lines.filter((line) => line.includes('"one"'))).toEqual([
    'keepward_sink{sink="one",what="waiting"} 2',
    'keepward_sink{sink="one",what="oldestSeconds"} 1.5',
    'keepward_sink{sink="one",what="refused"} 1',
    'keepward_sink{sink="one",what="lastErrorSeconds"} 9',
    'keepward_sink{sink="one",what="ready"} 1',
    'keepward_sink_reports_total{sink="one",result="delivered"} 41',
    'keepward_sink_reports_total{sink="one",result="failed"} 3',
  ])
  expect(lines.filter((line) => line.includes('"other"') && line.includes('lastError'))).toEqual([])
})
