import { resolve } from 'node:path'
import { examine, type Examination, type Finding, type Status } from '../doctor/check.ts'
import { allChecks } from '../doctor/checks.ts'
import { withScratch } from '../doctor/scratch.ts'
import { findConfig } from '../doctor/subject.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { oneLine, stateText, table, timeText, type Look } from '../text/table.ts'

/** `keepward doctor`: what this host has and lacks; needs no agent. Exit status 0 all ok, 1 warnings, 2 failures. */
export async function doctor({ config: file, json }: Globals): Promise<number> {
  const root = process.geteuid?.() === 0
  const config = await findConfig(resolve(file))
  const asOfMs = Date.now()
  const { findings, abandoned } = await withScratch(root, (scratch) => examine(allChecks, { root, config, scratch }))
  const status = doctorStatus(findings)
  const text = json
    ? JSON.stringify({ asOfMs, ok: status === ExitStatus.ok, checks: findings })
    : renderDoctor(findings, asOfMs)
  process.stdout.write(`${text}\n`)
  // What an abandoned check waits for would keep us here.
  if (abandoned) process.exit(status)
  return status
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
