import type { Explanation } from '../agent/api.ts'
import { ageText } from '../base/age.ts'
import { call } from './client.ts'
import { renderEvent } from './events.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { conditionLines, oneLine, roleText, table, timeText } from '../text/table.ts'

/** `keepward explain ROUTER`: why the role is what it is. */
export async function explain(globals: Globals, _options: unknown, router = ''): Promise<number> {
  const answer = await call<Explanation>(globals, 'GET', `/v1/routers/${encodeURIComponent(router)}`)
  print(globals, answer, renderExplanation)
  return ExitStatus.ok
}

export function renderExplanation({ status, evidence, waiting, last }: Explanation): string {
  const head = `${status.id}  ${roleText(status.role, status.stale)}  since ${timeText(status.sinceMs)} (${ageText(status.heldMs)})  as of ${ageText(status.ageMs)} ago`
  const rows = evidence.map((one) => [
    one.what,
    one.ageMs === undefined ? '' : `${ageText(one.ageMs)} ago`,
    oneLine(one.found),
  ])
  return [
    head,
    `because: ${oneLine(status.cause)}`,
    '',
    table(['EVIDENCE', 'AS OF', 'FOUND'], rows),
    ...(waiting.length === 0 ? [] : ['', ...waiting.map(({ step, reason }) => `waiting: ${step}, ${reason}`)]),
    ...(status.conditions.length === 0 ? [] : ['', ...status.conditions.map((one) => conditionLines(one))]),
    '',
    'last records:',
    ...last.map((record) => `  ${renderEvent(record)}`),
  ].join('\n')
}
