import type { PlanAnswer, RouterPlan } from '../agent/api.ts'
import { countText } from '../base/count.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { sectionsText } from './sections.ts'
import { paint, stateText } from '../text/table.ts'

/** `keepward plan`: what applying the config file would do; nothing is done. */
export async function showPlan(globals: Globals): Promise<number> {
  const answer = await call<PlanAnswer>(globals, 'GET', '/v1/plan')
  print(globals, answer, renderPlan)
  return ExitStatus.ok
}

/**
 * The plan as a diff: `+` comes, `-` goes, `~` changes; a step that can move a role is named so. Sections beside the routers are
 * named below.
 */
export function renderPlan({ routers, ...sections }: PlanAnswer): string {
  const rest = sectionsText(sections)
  if (routers.length === 0) {
    return rest === '' ? 'Nothing to do: what runs is what the config file wants.' : `No router changes. ${rest}`
  }
  const steps = routers.flatMap((router) => [...router.steps, ...router.waiting])
  const moving = steps.filter((step) => step.movesRole).length
  const summary = `${countText(routers.length, 'router')}, ${countText(steps.length, 'step')}, ${String(moving)} of them can move a role.`
  return [...routers.map(renderRouter), [summary, rest].join(' ').trimEnd()].join('\n\n')
}

function renderRouter({ router, change, config, steps, waiting }: RouterPlan): string {
  const signs = { add: paint('green', '+'), remove: paint('red', '-'), change: paint('yellow', '~'), none: ' ' }
  return [
    `${signs[change]} router ${router}`,
    ...config.map(({ path, before, after }) => {
      if (before === undefined) return `    ${paint('green', '+')} ${path}: ${after ?? ''}`
      if (after === undefined) return `    ${paint('red', '-')} ${path}: ${before}`
      return `    ${paint('yellow', '~')} ${path}: ${before} -> ${after}`
    }),
    ...steps.map((step, index) => `    ${String(index + 1)}. ${step.text}${warning(step)}`),
    ...waiting.map((step) => `    … ${step.step}, ${step.reason}${warning(step)}`),
  ].join('\n')
}

const warning = ({ movesRole }: { readonly movesRole: boolean }): string =>
  movesRole ? `  ${stateText('warning', 'can move a role')}` : ''
