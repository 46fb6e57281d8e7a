import type { PlanAnswer } from '../agent/api.ts'

/** What of the config beside the routers takes effect when; empty when nothing differs. In the words of `plan` and `apply`. */
export function sectionsText({ sections, restartFor }: Pick<PlanAnswer, 'sections' | 'restartFor'>): string {
  return [
    ...(sections.length === 0 ? [] : [`Taken over at once: ${sections.join(', ')}.`]),
    ...(restartFor.length === 0 ? [] : [`Restart the agent for ${restartFor.join(', ')}; routers run on.`]),
  ].join(' ')
}
