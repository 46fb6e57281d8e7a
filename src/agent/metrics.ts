import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { AgentStatus } from './api.ts'
import type { HostCounters } from '../host/operation.ts'

/** Claims of unknown routers that are kept; messages, and connections, that wait. */
export type StateChangeFigures = Readonly<Record<'unmatched' | 'messagesWaiting' | 'connectionsWaiting', number>>

/** Changes of role that wait for hooks, and that were never told to them: no room for more, or the role was flapping. */
export type HookFigures = Readonly<Record<'waiting' | 'dropped' | 'coalesced', number>>

/** What the metrics are read from at each scrape. */
export interface MetricsSource {
  status(): AgentStatus
  host(): HostCounters
  queued(): number
  hooks(): HookFigures
  stateChange(): StateChangeFigures
  subscribers(): number
}

export interface Metrics {
  readonly transitions: Counter<'router' | 'to'>
  readonly conditionChanges: Counter<'code' | 'change'>
  readonly claims: Counter<'decision'>
  readonly claimRefusals: Counter<'reason'>
  readonly hostRefusals: Counter<'reason'>
  readonly defects: Counter
  readonly durableSeconds: Histogram
  readonly reactionSeconds: Histogram<'reaction' | 'stance' | 'result'>
  readonly hookSeconds: Histogram<'result'>
  /** Prometheus text exposition format 0.0.4. */
  render(source: MetricsSource): Promise<string>
  readonly contentType: string
}

/** `keepward_router_role` as a number, so that one series a router is enough. */
const roleNumbers = { unknown: 0, backup: 1, primary: 2, fault: 3 } as const

export function makeMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'keepward_' })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers })
  const role = gauge('keepward_router_role', '0 unknown, 1 backup, 2 primary, 3 fault', ['router'])
  const since = gauge('keepward_router_role_since_seconds', 'Unix time at which the role was taken', ['router'])
  const asOf = gauge('keepward_router_evidence_time_seconds', 'Unix time of the newest evidence from the kernel', [
    'router',
  ])
  const raised = gauge('keepward_conditions', 'Conditions raised now', ['code', 'severity'])
  const journal = gauge(
    'keepward_journal',
    'State of the journal: last durable sequence, records waiting, lost, bytes',
    ['what'],
  )
  const host = gauge('keepward_host', 'Netlink overruns, rechecks that differed, notify lines refused', ['what'])
  const queued = gauge('keepward_queued_events', 'Events waiting in the queues of all routers', [])
  const hooks = gauge(
    'keepward_hook_events',
    'Changes of role that wait for hooks; dropped, or coalesced while the role was flapping',
    ['what'],
  )
  const stateChange = gauge(
    'keepward_state_change',
    'Claims of unknown routers kept; messages, and connections, waiting',
    ['what'],
  )
  const sink = gauge(
    'keepward_sink',
    'What waits for a sink, the age in seconds of the oldest and of the last error, routers refused; 1: it is ready',
    ['sink', 'what'],
  )
  const sinkReports = new Counter({
    name: 'keepward_sink_reports_total',
    help: 'Reports that a sink has taken (delivered), and tries in vain (failed)',
    labelNames: ['sink', 'result'],
    registers,
  })
  const subscribers = gauge('keepward_event_subscribers', 'Subscribers of the event stream', [])
  return {
    transitions: new Counter({
      name: 'keepward_router_transitions_total',
      help: 'Changes of role, by the role taken',
      labelNames: ['router', 'to'],
      registers,
    }),
    conditionChanges: new Counter({
      name: 'keepward_condition_changes_total',
      help: 'Conditions raised and cleared',
      labelNames: ['code', 'change'],
      registers,
    }),
    claims: new Counter({
      name: 'keepward_claims_total',
      help: 'Messages of notifiers that were taken, by what became of them',
      labelNames: ['decision'],
      registers,
    }),
    claimRefusals: new Counter({
      name: 'keepward_claim_refusals_total',
      help: 'Messages of notifiers that were refused or over a limit, by reason',
      labelNames: ['reason'],
      registers,
    }),
    hostRefusals: new Counter({
      name: 'keepward_host_refusals_total',
      help: 'What keepward-host refused, by reason',
      labelNames: ['reason'],
      registers,
    }),
    defects: new Counter({ name: 'keepward_defects_total', help: 'Failures inside Keepward itself', registers }),
    durableSeconds: new Histogram({
      name: 'keepward_transition_durable_seconds',
      help: 'From the evidence of a change to its record on disk',
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1, 10],
      registers,
    }),
    reactionSeconds: new Histogram({
      name: 'keepward_reaction_seconds',
      help: 'From the moment that a reaction was asked for to its end',
      labelNames: ['reaction', 'stance', 'result'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15],
      registers,
    }),
    hookSeconds: new Histogram({
      name: 'keepward_hook_seconds',
      help: 'From the moment that a hook was asked for to its end',
      labelNames: ['result'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
      registers,
    }),
    contentType: registry.contentType,
    render: async (source) => {
      const status = source.status()
      for (const one of [role, since, asOf, raised]) one.reset()
      for (const router of status.routers) {
        role.set({ router: router.id }, roleNumbers[router.role])
        since.set({ router: router.id }, router.sinceMs / 1000)
        asOf.set({ router: router.id }, router.asOfMs / 1000)
      }
      for (const { code, severity } of [...status.conditions, ...status.routers.flatMap((one) => one.conditions)]) {
        raised.inc({ code, severity })
      }
      const { durableSeq, pending, lost, sizeBytes } = status.journal
      for (const [what, value] of Object.entries({ durableSeq, pending, lost, sizeBytes })) journal.set({ what }, value)
      for (const [what, value] of Object.entries(source.host())) host.set({ what }, Number(value))
      for (const [what, value] of Object.entries(source.stateChange())) stateChange.set({ what }, value)
      for (const [what, value] of Object.entries(source.hooks())) hooks.set({ what }, value)
      sink.reset()
      sinkReports.reset()
      for (const { name, state, waiting, oldestMs = 0, delivered, failures, refused, lastErrorMs } of status.sinks) {
        const oldestSeconds = oldestMs / 1000
        sinkReports.inc({ sink: name, result: 'delivered' }, delivered)
        sinkReports.inc({ sink: name, result: 'failed' }, failures)
        const errorAge = lastErrorMs === undefined ? {} : { lastErrorSeconds: lastErrorMs / 1000 }
        const figures = { waiting, oldestSeconds, refused: refused.length, ...errorAge }
        for (const [what, value] of Object.entries({ ...figures, ready: state === 'ready' ? 1 : 0 }))
          sink.set({ sink: name, what }, value)
      }
      queued.set(source.queued())
      subscribers.set(source.subscribers())
      return registry.metrics()
    },
  }
}
