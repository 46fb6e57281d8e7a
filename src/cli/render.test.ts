import { describe, expect, test } from 'vitest'
import { plainTerminal } from '../../test/support/terminal.ts'
import type { AgentStatus, ConditionView, EventView, PlanAnswer, RouterStatus } from '../agent/api.ts'
import { renderApplied } from './apply.ts'
import { renderEvent } from './events.ts'
import { renderExplanation } from './explain.ts'
import { renderPlan } from './plan.ts'
import { renderStatus } from './status.ts'

plainTerminal()

const noon = Date.UTC(2026, 10, 20, 12)

function router(change: Partial<RouterStatus> = {}): RouterStatus {
  return {
    id: 'r1',
    role: 'primary',
    sinceMs: noon - 310_000,
    heldMs: 310_000,
    asOfMs: noon - 400,
    ageMs: 400,
    stale: false,
    recorded: true,
    cause: 'kernel: 169.254.0.7/24 came to ha0',
    vrid: 7,
    priority: 100,
    namespace: 'keepward-r1',
    conditions: [],
    ...change,
  }
}

const stalled: ConditionView = {
  code: 'keepalived-stalled',
  severity: 'critical',
  text: 'pid 12 is stopped',
  title: 'keepalived is stopped or does not answer',
  hint: 'kill -CONT 12',
  sinceMs: noon,
}

function agentStatus(change: Partial<AgentStatus> = {}): AgentStatus {
  return {
    agent: {
      id: 'host-a',
      version: '0.1.0',
      pid: 4,
      startedMs: noon,
      boot: 'b',
      journal: 'j',
      start: 1,
      configDigest: 'd',
    },
    asOfMs: noon,
    health: 'healthy',
    conditions: [],
    journal: { state: 'ok', durableSeq: 12, pending: 0, lost: 0, retainedFromSeq: 1, sizeBytes: 4096 },
    routers: [],
    sinks: [],
    claims: [],
    ...change,
  }
}

function record(change: Partial<EventView> = {}): EventView {
  return {
    seq: 41,
    kind: 'transition',
    router: 'r1',
    routerSeq: 3,
    agent: 'host-a',
    epoch: { journal: 'j', start: 1 },
    boot: 'b',
    at: { wallMs: noon, monoMs: 5 },
    late: false,
    body: { from: 'backup', to: 'primary', lastedMs: 3_600_000, cause: { kind: 'kernel', text: 'address came' } },
    previous: '0',
    hash: '1',
    ...change,
  }
}

describe('renderStatus()', () => {
  test('says since when and as of when', () => {
    const routers = [router(), router({ id: 'router-2', role: 'backup', vrid: 8, recorded: false })]
    expect(renderStatus(agentStatus({ routers })).split('\n')).toEqual([
      'agent host-a  ● healthy  as of 2026-11-20 12:00:00.000  journal ok, 12 records',
      'ROUTER    ROLE       SINCE                    FOR    AS OF     VRID  CONDITIONS',
      'r1        ● primary  2026-11-20 11:54:50.000  5m10s  0.4s ago  7',
      'router-2  ○ backup   2026-11-20 11:54:50.000  5m10s  0.4s ago  8     not on disk yet',
    ])
  })

  test('marks a stale role and explains what is raised below', () => {
    const routers = [router({ stale: true, ageMs: 20_000, conditions: [stalled] })]
    const lost = { ...stalled, code: 'journal-unavailable', text: 'disk full', hint: 'make room' }
    const text = renderStatus(agentStatus({ health: 'critical', routers, conditions: [lost] }))
    expect(text.split('\n')).toEqual([
      'agent host-a  ✗ critical  as of 2026-11-20 12:00:00.000  journal ok, 12 records',
      'ROUTER  ROLE               SINCE                    FOR    AS OF    VRID  CONDITIONS',
      'r1      ? primary (stale)  2026-11-20 11:54:50.000  5m10s  20s ago  7     ✗ keepalived-stalled',
      '',
      '✗ journal-unavailable agent: disk full',
      '    make room',
      '✗ keepalived-stalled r1: pid 12 is stopped',
      '    kill -CONT 12',
    ])
  })

  test('indents the further lines of a condition', () => {
    const text = 'agent.yaml:3:7 vrid: is 300\nagent.yaml:9:3 priority: is 0\n'
    const refused = { ...stalled, code: 'config-not-applied', severity: 'warning', text, hint: 'correct it' } as const
    expect(
      renderStatus(agentStatus({ conditions: [refused] }))
        .split('\n')
        .slice(2),
    ).toEqual([
      '',
      '▲ config-not-applied agent: agent.yaml:3:7 vrid: is 300',
      '    agent.yaml:9:3 priority: is 0',
      '    correct it',
    ])
  })

  test('lists what others claim of routers that are not seen here apart from what is seen', () => {
    const by = { uid: 0, pid: 812, atMs: noon }
    const claim = { ...by, router: 'r9', state: 'primary', ageMs: 4000, stale: false, known: false } as const
    const stale = { ...claim, router: 'router-10', state: 'backup', ageMs: 400_000, stale: true, known: true } as const
    expect(
      renderStatus(agentStatus({ routers: [router()], claims: [claim, stale] }))
        .split('\n')
        .slice(2),
    ).toEqual([
      'r1      ● primary  2026-11-20 11:54:50.000  5m10s  0.4s ago  7',
      '',
      'NOT SEEN HERE  CLAIMED           SAID       BY              WHY',
      'r9             ? primary         4.0s ago   uid 0, pid 812  not in the config',
      'router-10      ? backup (stale)  6m40s ago  uid 0, pid 812  its kernel state cannot be seen',
    ])
  })

  test('lists how far each sink is', () => {
    const sinks: AgentStatus['sinks'] = [
      {
        ...{ name: 'fleet', type: 'nats', state: 'ready', waiting: 0, delivered: 41, failures: 1, refused: [] },
        ...{ lastError: 'too slow', lastErrorMs: 200_000 },
      },
      {
        ...{ name: 'cloud', type: 'neutron', state: 'unreachable', reason: 'no answer' },
        ...{ waiting: 1, oldestMs: 61_000, delivered: 2, failures: 3, refused: ['r1', 'r2', 'r3', 'r4'] },
        ...{ lastError: 'timed out', lastErrorMs: 14_000 },
      },
    ]
    expect(renderStatus(agentStatus({ sinks })).split('\n').slice(1)).toEqual([
      'no routers',
      '',
      'SINK   TYPE     STATE        WAITING          DELIVERED  TROUBLE',
      'fleet  nats     ready        nothing          41',
      'cloud  neutron  unreachable  1 report, 1m01s  2          refused: r1, r2, r3, …; 14s ago: timed out',
    ])
  })

  test('says how many records were lost', () => {
    const journal = { state: 'ok', durableSeq: 1, pending: 0, lost: 3, retainedFromSeq: 1, sizeBytes: 4096 } as const
    expect(renderStatus(agentStatus({ journal })).split('\n')[0]).toMatch(/ journal ok, 1 record, 3 lost$/)
  })

  test('tells notes once for all routers, and beside none of them', () => {
    const note: ConditionView = { ...stalled, code: 'vrrp-unauthenticated', severity: 'info', title: 'No signature' }
    const routers = [router({ conditions: [note] }), router({ id: 'r2', conditions: [note] })]
    expect(renderStatus(agentStatus({ routers })).split('\n').slice(2)).toEqual([
      'r1      ● primary  2026-11-20 11:54:50.000  5m10s  0.4s ago  7',
      'r2      ● primary  2026-11-20 11:54:50.000  5m10s  0.4s ago  7',
      '',
      '· vrrp-unauthenticated r1 and 1 more: No signature',
    ])
  })

  test('says so when there are no routers', () => {
    expect(renderStatus(agentStatus()).split('\n')[1]).toBe('no routers')
  })
})

describe('renderPlan()', () => {
  const plan = (routers: PlanAnswer['routers'], change: Partial<PlanAnswer> = {}): string =>
    renderPlan({ configDigest: 'd', routers, movesRole: false, sections: [], restartFor: [], ...change })

  test('says so when there is nothing to do', () => {
    expect(plan([])).toBe('Nothing to do: what runs is what the config file wants.')
  })

  test('names sections of the config in the words of apply', () => {
    const change = { sections: ['reconcile'], restartFor: ['stateChange', 'logging'] }
    const words = 'Taken over at once: reconcile. Restart the agent for stateChange, logging; routers run on.'
    expect(plan([], change)).toBe(`No router changes. ${words}`)
    const one = {
      router: 'r1',
      change: 'none',
      config: [],
      steps: [{ text: 'x', movesRole: false }],
      waiting: [],
    } as const
    const routers = [{ ...one, config: [], steps: [...one.steps], waiting: [] }]
    expect(plan(routers, change).split('\n').at(-1)).toBe(`1 router, 1 step, 0 of them can move a role. ${words}`)
    const applied = { configDigest: 'd', added: 0, changed: 1, removed: 0 }
    expect(renderApplied({ ...applied, ...change })).toBe(
      `Applied: 0 added, 1 changed, 0 removed. ${words} \`keepward status\` shows how far it is.`,
    )
    expect(renderApplied({ ...applied, sections: [], restartFor: [] })).toBe(
      'Applied: 0 added, 1 changed, 0 removed. `keepward status` shows how far it is.',
    )
  })

  test('is a diff that names each step that can move a role', () => {
    const change = {
      router: 'r1',
      change: 'change',
      config: [
        { path: 'priority', before: '100', after: '150' },
        { path: 'virtualAddresses[1]', after: '203.0.113.11/24 on ext0' },
        { path: 'virtualAddresses[2]', before: '203.0.113.12/24 on ext0' },
      ],
      steps: [
        { text: 'write the keepalived config', movesRole: false },
        { text: 'reload keepalived', movesRole: true },
      ],
      waiting: [],
    } as const
    const added = {
      router: 'r2',
      change: 'add',
      config: [],
      steps: [{ text: 'make namespace keepward-r2', movesRole: false }],
      waiting: [{ step: 'start keepalived', reason: 'ha0 has no carrier', movesRole: true }],
    } as const
    const routers = [change, added].map((one) => ({
      ...one,
      config: [...one.config],
      steps: [...one.steps],
      waiting: [...one.waiting],
    }))
    expect(plan(routers).split('\n')).toEqual([
      '~ router r1',
      '    ~ priority: 100 -> 150',
      '    + virtualAddresses[1]: 203.0.113.11/24 on ext0',
      '    - virtualAddresses[2]: 203.0.113.12/24 on ext0',
      '    1. write the keepalived config',
      '    2. reload keepalived  ▲ can move a role',
      '',
      '+ router r2',
      '    1. make namespace keepward-r2',
      '    … start keepalived, ha0 has no carrier  ▲ can move a role',
      '',
      '2 routers, 4 steps, 2 of them can move a role.',
    ])
  })
})

describe('renderEvent()', () => {
  const prefix = '    41  2026-11-20 12:00:00.000  r1            '

  test('tells a transition with its cause and how long the state before lasted', () => {
    expect(renderEvent(record())).toBe(`${prefix}backup -> primary after 1h00m: address came`)
  })

  test('marks a record that came late to the disk', () => {
    expect(renderEvent(record({ late: true }))).toBe(
      `${prefix}backup -> primary after 1h00m: address came  (recorded late)`,
    )
  })

  test('tells a condition', () => {
    const body = { code: 'config-refused', change: 'raised', text: 'line 3' }
    expect(renderEvent(record({ kind: 'condition', body }))).toBe(`${prefix}config-refused raised: line 3`)
  })

  const refusal = {
    decision: 'refused',
    reason: 'sender-refused',
    router: 'r2',
    state: 'primary',
    uid: 1000,
    gid: 1000,
    pid: 99,
    key: null,
    controlGroup: '/',
    count: 3,
  }

  test.each([
    ['r1', { router: 'r1' }, 'uid 1000, pid 99 said primary, refused: sender-refused (3 messages)'],
    ['-', {}, 'uid 1000, pid 99 said primary of r2, refused: sender-refused (3 messages)'],
    [
      '-',
      { state: null, key: 'fleet' },
      'uid 1000, pid 99 with key fleet spoke of r2, refused: sender-refused (3 messages)',
    ],
    [
      '-',
      { decision: 'limited', reason: 'user-rate', count: 1 },
      'uid 1000, pid 99 said primary of r2, limited: user-rate',
    ],
    ['-', { router: null, state: null, uid: null, pid: null, count: 1 }, 'somebody refused: sender-refused'],
  ])('tells a refusal in the column of %s of %j as %s', (column, change, says) => {
    const one = record({ kind: 'refusal', body: { ...refusal, ...change } })
    if (column === '-') delete one.router
    expect(renderEvent(one)).toBe(`    41  2026-11-20 12:00:00.000  ${column.padEnd(12)}  ${says}`)
  })

  test.each([
    ['config', { change: 'refused', text: 'a.yaml:3:7 is 300\na.yaml:9:3 is 0' }],
    ['condition', { code: 'config-not-applied', change: 'raised', text: 'a.yaml:3:7 is 300\r\n  a.yaml:9:3 is 0\n' }],
  ])('keeps a %s record of several lines on one', (kind, body) => {
    expect(renderEvent(record({ kind, body }))).toMatch(/a\.yaml:3:7 is 300; a\.yaml:9:3 is 0$/)
  })

  test('tells what it does not know by its fields, and an agent record without a router', () => {
    const started = record({ kind: 'started', body: { version: '0.1.0', routers: 2 } })
    delete started.router
    expect(renderEvent(started)).toBe('    41  2026-11-20 12:00:00.000  -             started version=0.1.0 routers=2')
  })
})

test('renderExplanation() shows the evidence with its ages, what is waited for, conditions and the last records', () => {
  const text = renderExplanation({
    status: router({ conditions: [stalled] }),
    evidence: [
      { what: 'kernel: marker', found: '169.254.0.7/24 is on ha0', asOfMs: noon, ageMs: 400 },
      { what: 'config', found: 'not compared yet' },
    ],
    waiting: [{ step: 'reload keepalived', reason: 'it is stopped' }],
    last: [record()],
  })
  expect(text.split('\n')).toEqual([
    'r1  ● primary  since 2026-11-20 11:54:50.000 (5m10s)  as of 0.4s ago',
    'because: kernel: 169.254.0.7/24 came to ha0',
    '',
    'EVIDENCE        AS OF     FOUND',
    'kernel: marker  0.4s ago  169.254.0.7/24 is on ha0',
    'config                    not compared yet',
    '',
    'waiting: reload keepalived, it is stopped',
    '',
    '✗ keepalived-stalled pid 12 is stopped',
    '    kill -CONT 12',
    '',
    'last records:',
    '      41  2026-11-20 12:00:00.000  r1            backup -> primary after 1h00m: address came',
  ])
})
