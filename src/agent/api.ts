import { z } from 'zod'

/**
 * The shapes of the control API: the one source of the server's answers, the OpenAPI document and the types of the
 * command line. Times are Unix milliseconds, ages and durations milliseconds.
 */

export const role = z.enum(['primary', 'backup', 'fault', 'unknown'])
export const severity = z.enum(['critical', 'warning', 'info'])
export const health = z.enum(['healthy', 'degraded', 'critical', 'unknown'])

export const condition = z.object({
  code: z.string(),
  severity,
  text: z.string().describe('What exactly it is this time'),
  title: z.string(),
  hint: z.string().describe('What an operator can do'),
  sinceMs: z.number(),
})

export const routerStatus = z.object({
  id: z.string(),
  role,
  sinceMs: z.number().describe('Unix time at which the role was taken'),
  heldMs: z.number().describe('How long it has been held'),
  asOfMs: z.number().describe('Unix time of the newest evidence from the kernel'),
  ageMs: z.number().describe('Age of that evidence; a role without fresh evidence is `stale`'),
  stale: z.boolean(),
  recorded: z.boolean().describe('The journal has the last transition on disk'),
  cause: z.string(),
  vrid: z.number(),
  priority: z.number(),
  namespace: z.string(),
  conditions: z.array(condition),
})

export const claim = z.object({
  router: z.string(),
  state: role.describe('What its sender says; not evidence'),
  uid: z.number(),
  pid: z.number(),
  atMs: z.number(),
  ageMs: z.number(),
  stale: z.boolean().describe('Not repeated for three of its intervals'),
})

const unseenClaim = claim.extend({
  known: z.boolean().describe('The router is in the config, and there is no fresh evidence of it from the kernel'),
})

export const journalStatus = z.object({
  state: z.enum(['ok', 'unavailable']),
  durableSeq: z.number(),
  pending: z.number(),
  lost: z.number().describe('Records that were given up in memory; the last state of every router never is'),
  retainedFromSeq: z.number(),
  sizeBytes: z.number(),
  reason: z.string().optional().describe('Why it is unavailable'),
})

export const sinkStatus = z.object({
  name: z.string(),
  type: z.enum(['nats', 'neutron', 'webhook']),
  state: z.enum(['ready', 'unreachable', 'not-ready']),
  reason: z.string().optional().describe('Why it is not ready'),
  waiting: z.number().describe('Reports that are not delivered'),
  oldestMs: z.number().optional().describe('For how long the oldest has waited'),
  delivered: z.number().describe('Since the agent started'),
  failures: z.number().describe('Tries that were in vain, since the agent started'),
  refused: z.array(z.string()).describe('Routers of which the last report was not taken'),
  lastError: z.string().optional().describe('What went wrong last, although it may be well again'),
  lastErrorMs: z.number().optional().describe('How long ago that was'),
})

export const agentStatus = z.object({
  agent: z.object({
    id: z.string(),
    version: z.string(),
    pid: z.number(),
    startedMs: z.number(),
    boot: z.string(),
    journal: z.string().describe('Random id of the journal file'),
    start: z.number().describe('How often the agent has been started on it'),
    configDigest: z.string(),
  }),
  asOfMs: z.number(),
  health,
  conditions: z.array(condition),
  journal: journalStatus,
  routers: z.array(routerStatus),
  sinks: z.array(sinkStatus),
  claims: z
    .array(unseenClaim)
    .describe('What notifiers say of routers that this agent does not know or cannot see, the oldest first'),
})

export const evidence = z.object({
  what: z.string(),
  found: z.string(),
  asOfMs: z.number().optional(),
  ageMs: z.number().optional(),
})

export const journalRecord = z.object({
  seq: z.number(),
  kind: z.string(),
  router: z.string().optional(),
  routerSeq: z.number().optional(),
  agent: z.string(),
  epoch: z.object({ journal: z.string(), start: z.number() }),
  boot: z.string(),
  at: z.object({ wallMs: z.number(), monoMs: z.number() }),
  late: z.boolean(),
  body: z.record(z.string(), z.unknown()),
  previous: z.string(),
  hash: z.string(),
})

export const explanation = z.object({
  status: routerStatus,
  evidence: z.array(evidence),
  waiting: z.array(z.object({ step: z.string(), reason: z.string() })),
  last: z.array(journalRecord).describe('The newest records of the router, newest first'),
})

export const planStep = z.object({ text: z.string(), movesRole: z.boolean() })

export const configChange = z.object({
  path: z.string(),
  before: z.string().optional(),
  after: z.string().optional(),
})

export const routerPlan = z.object({
  router: z.string(),
  change: z.enum(['add', 'change', 'remove', 'none']),
  config: z.array(configChange),
  steps: z.array(planStep),
  waiting: z.array(z.object({ step: z.string(), reason: z.string(), movesRole: z.boolean() })),
})

const sectionChange = {
  sections: z.array(z.string()).describe('Sections beside the routers that differ and take effect at once'),
  restartFor: z.array(z.string()).describe('Sections that take effect when the agent is started again'),
}

export const planAnswer = z.object({
  configDigest: z.string(),
  routers: z.array(routerPlan),
  movesRole: z
    .boolean()
    .describe('At least one step, a waiting one included, may make an instance gain or lose the primary role'),
  ...sectionChange,
})

export const applyAnswer = z.object({
  configDigest: z.string(),
  added: z.number(),
  changed: z.number(),
  removed: z.number(),
  ...sectionChange,
})

export const rotateAnswer = z.object({
  untilMs: z.number().describe('The key before is honoured up to this Unix time'),
})

export const verdict = z.union([
  z.object({
    ok: z.literal(true),
    records: z.number(),
    fromSeq: z.number(),
    toSeq: z.number(),
    hash: z.string().describe('Of the last record: noted elsewhere, it proves that nothing was cut off'),
  }),
  z.object({ ok: z.literal(false), brokenAtSeq: z.number(), reason: z.string() }),
])

export const problem = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() })

export type AgentStatus = z.infer<typeof agentStatus>
export type ClaimView = z.infer<typeof claim>
export type SinkView = z.infer<typeof sinkStatus>
export type RouterStatus = z.infer<typeof routerStatus>
export type ConditionView = z.infer<typeof condition>
export type Explanation = z.infer<typeof explanation>
export type PlanAnswer = z.infer<typeof planAnswer>
export type RouterPlan = z.infer<typeof routerPlan>
export type ApplyAnswer = z.infer<typeof applyAnswer>
export type RotateAnswer = z.infer<typeof rotateAnswer>
export type EventView = z.infer<typeof journalRecord>
export type VerdictView = z.infer<typeof verdict>
export type Problem = z.infer<typeof problem>
