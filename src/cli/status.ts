import type { AgentStatus } from '../agent/api.ts'
import { ageText } from '../base/age.ts'
import { countText } from '../base/count.ts'
import { call } from './client.ts'
import { ExitStatus, statusOf } from './exit-status.ts'
import { failedWith } from './failure.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { claimText, conditionLines, conditionText, healthText, roleText, table, timeText } from '../text/table.ts'

/** `keepward status`: exit status 0 healthy, 1 degraded, 2 critical, 3 unknown. */
export async function status(globals: Globals): Promise<number> {
  let answer: AgentStatus
  try {
    answer = await call<AgentStatus>(globals, 'GET', '/v1/status')
  } catch (error) {
    failedWith(error)
    return ExitStatus.unknown
  }
  print(globals, answer, renderStatus)
  return statusOf(answer.health)
}

/** The status as text, each state with since when and as of when. */
export function renderStatus({
  agent,
  asOfMs,
  health,
  journal,
  routers,
  sinks,
  claims,
  conditions,
}: AgentStatus): string {
  const head = `agent ${agent.id}  ${healthText(health)}  as of ${timeText(asOfMs)}  journal ${journal.state}, ${countText(journal.durableSeq, 'record')}${journal.lost === 0 ? '' : `, ${String(journal.lost)} lost`}`
  const rows = routers.map((router) => [
    router.id,
    roleText(router.role, router.stale),
    timeText(router.sinceMs),
    ageText(router.heldMs),
    `${ageText(router.ageMs)} ago`,
    String(router.vrid),
    router.conditions.filter(isTrouble).map(conditionText).join(' ') || (router.recorded ? '' : 'not on disk yet'),
  ])
  const listing =
    rows.length === 0 ? 'no routers' : table(['ROUTER', 'ROLE', 'SINCE', 'FOR', 'AS OF', 'VRID', 'CONDITIONS'], rows)
  const raised = [
    ...conditions.map((one) => ({ one, where: 'agent' })),
    ...routers.flatMap((router) => router.conditions.map((one) => ({ one, where: router.id }))),
  ]
  const troubles = raised.filter(({ one }) => isTrouble(one))
  const details = troubles.map(({ one, where }) => conditionLines(one, where))
  const notes = renderNotes(raised.filter(({ one }) => !isTrouble(one)))
  const below = [...details, ...notes]
  return [
    head,
    listing,
    ...renderSinks(sinks),
    ...renderClaims(claims),
    ...(below.length === 0 ? [] : ['', ...below]),
  ].join('\n')
}

type Condition = AgentStatus['conditions'][number]

const isTrouble = ({ severity }: Condition): boolean => severity !== 'info'

/** One line for each kind, however many routers it is so with; `explain` says more. */
function renderNotes(notes: readonly { readonly one: Condition; readonly where: string }[]): string[] {
  const byCode = Map.groupBy(notes, ({ one }) => one.code)
  return [...byCode.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return []
    const more = others.length === 0 ? '' : ` and ${String(others.length)} more`
    return [`${conditionText(first.one)} ${first.where}${more}: ${first.one.title}`]
  })
}

/** How far each sink is. */
function renderSinks(sinks: AgentStatus['sinks']): string[] {
  if (sinks.length === 0) return []
  const rows = sinks.map((sink) => [
    sink.name,
    sink.type,
    sink.state,
    sink.waiting === 0 ? 'nothing' : `${countText(sink.waiting, 'report')}, ${ageText(sink.oldestMs ?? 0)}`,
    String(sink.delivered),
    [refusedText(sink), errorText(sink)].filter((text) => text !== '').join('; '),
  ])
  return ['', table(['SINK', 'TYPE', 'STATE', 'WAITING', 'DELIVERED', 'TROUBLE'], rows)]
}

function refusedText({ refused }: AgentStatus['sinks'][number]): string {
  return refused.length === 0 ? '' : `refused: ${refused.slice(0, 3).join(', ')}${refused.length > 3 ? ', …' : ''}`
}

/** Of a sink that has all there is, the last error is nothing to act on. */
function errorText({ state, waiting, lastError, lastErrorMs = 0 }: AgentStatus['sinks'][number]): string {
  if (lastError === undefined || (state === 'ready' && waiting === 0)) return ''
  return `${ageText(lastErrorMs)} ago: ${lastError}`
}

/** Routers that this agent does not know or cannot see, by the word of others alone. */
function renderClaims(claims: AgentStatus['claims']): string[] {
  if (claims.length === 0) return []
  const rows = claims.map(({ router, state, stale, ageMs, uid, pid, known }) => [
    router,
    claimText(state, stale),
    `${ageText(ageMs)} ago`,
    `uid ${String(uid)}, pid ${String(pid)}`,
    known ? 'its kernel state cannot be seen' : 'not in the config',
  ])
  return ['', table(['NOT SEEN HERE', 'CLAIMED', 'SAID', 'BY', 'WHY'], rows)]
}
