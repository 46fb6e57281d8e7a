import { resolve } from 'node:path'
import type { AgentStatus } from '../agent/api.ts'
import { examine, type Examination, type Finding, type Status } from '../doctor/check.ts'
import { allChecks } from '../doctor/checks.ts'
import { withScratch } from '../doctor/scratch.ts'
import { findConfig, type ConfigFound } from '../doctor/subject.ts'
import { inForceFinding, processFinding, securityChecks, weakeningFindings } from '../doctor/trust.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { oneLine, stateText, table, timeText, type Look } from '../text/table.ts'

/** `keepward doctor`: what this host has and lacks; needs no agent. Exit status 0 all ok, 1 warnings, 2 failures. */
export async function doctor(globals: Globals, { security }: Record<string, unknown>): Promise<number> {
  const config = await findConfig(resolve(globals.config))
  const asOfMs = Date.now()
  const { findings, abandoned } = await (security === true ? lookAtSecurity(globals, config) : lookAtAll(config))
  const status = doctorStatus(findings)
  const answer = { asOfMs, ok: status === ExitStatus.ok, checks: findings }
  print(globals, answer, ({ checks }) => renderDoctor(checks, asOfMs))
  // What an abandoned check waits for would keep us here.
  if (abandoned) process.exit(status)
  return status
}

const isRoot = (): boolean => process.geteuid?.() === 0

const lookAtAll = (config: ConfigFound): Promise<Examination> =>
  withScratch(isRoot(), (scratch) => examine(allChecks, { root: isRoot(), config, scratch }))

/** Whether the config is to be believed, and each setting of it that weakens; tries nothing on the host. */
async function lookAtSecurity(globals: Globals, config: ConfigFound): Promise<Examination> {
  const scratch = { kind: 'none', reason: 'not needed' } as const
  const { findings, abandoned } = await examine(securityChecks, { root: isRoot(), config, scratch })
  const running = await call<AgentStatus>(globals, 'GET', '/v1/status').catch(() => undefined)
  const inForce = inForceFinding(config, running?.agent.configDigest)
  const process = processFinding(running?.agent.pid)
  return { findings: [...findings, inForce, process, ...weakeningFindings(config)], abandoned }
}

/** What could not be looked at is not taken for good. */
export function doctorStatus(findings: Examination['findings']): number {
  const has = (status: Status) => findings.some((one) => one.status === status)
  if (has('failed')) return ExitStatus.critical
  return has('warning') || has('unknown') ? ExitStatus.degraded : ExitStatus.ok
}

/** One line a check; below each that is not ok, what is wanted and what to do. */
export function renderDoctor(findings: readonly Finding[], asOfMs: number): string {
  const rows = findings.map(({ name, status, found }) => [stateText(looks[status], status), name, oneLine(found)])
  const [head = '', ...lines] = table(['', 'CHECK', 'FOUND'], rows).split('\n')
  const body = findings.flatMap(({ wanted, fix }, at) => {
    const line = lines[at] ?? ''
    return fix === undefined ? [line] : [line, `    wanted: ${wanted}`, `    fix: ${fix}`]
  })
  const count = (status: Status) => String(findings.filter((one) => one.status === status).length)
  const counts = (['ok', 'warning', 'failed', 'unknown'] as const).map((status) => `${count(status)} ${status}`)
  return [`this host as of ${timeText(asOfMs)}`, head, ...body, '', counts.join(', ')].join('\n')
}

const looks: Readonly<Record<Status, Look>> = { ok: 'good', warning: 'warning', failed: 'bad', unknown: 'unseen' }
