import type { PlanAnswer } from '../agent/api.ts'

/** What of the config beside the routers takes effect when; empty when nothing differs. In the words of `plan` and `apply`. */
export function sectionsText({ sections, restartFor }: Pick<PlanAnswer, 'sections' | 'restartFor'>): string {
  return [
    ...(sections.length === 0 ? [] : [`Taken over at once: ${sections.join(', ')}.`]),
    ...(restartFor.length === 0 ? [] : [`Restart ${whom(restartFor)} for ${restartFor.join(', ')}; routers run on.`]),
  ].join(' ')
}

const whom = (sections: readonly string[]): string =>
  sections.some((section) => ofBoth.includes(section)) ? 'keepward-host, then the agent,' : 'the agent'

/** keepward-host reads them too. */
const ofBoth = ['agent', 'paths', 'audit', 'vault']
