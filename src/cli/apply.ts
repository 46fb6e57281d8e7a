import type { ApplyAnswer } from '../agent/api.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { sectionsText } from './sections.ts'

/** `keepward apply`: the agent reads its config file again; a file with an error changes nothing. */
export async function apply(globals: Globals): Promise<number> {
  const answer = await call<ApplyAnswer>(globals, 'POST', '/v1/apply')
  print(globals, answer, renderApplied)
  return ExitStatus.ok
}

export function renderApplied({ added, changed, removed, ...sections }: ApplyAnswer): string {
  const counts = `Applied: ${String(added)} added, ${String(changed)} changed, ${String(removed)} removed.`
  const rest = sectionsText(sections)
  return [counts, ...(rest === '' ? [] : [rest]), '`keepward status` shows how far it is.'].join(' ')
}
