import type { ApplyAnswer } from '../agent/api.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'

/** `keepward apply`: the agent reads its config file again; a file with an error changes nothing. */
export async function apply(globals: Globals): Promise<number> {
  const answer = await call<ApplyAnswer>(globals, 'POST', '/v1/apply')
  const restart =
    answer.restartFor.length === 0 ? '' : ` Restart the agent for ${answer.restartFor.join(', ')}; routers run on.`
  const text = `Applied: ${String(answer.added)} added, ${String(answer.changed)} changed, ${String(answer.removed)} removed.${restart} \`keepward status\` shows how far it is.`
  process.stdout.write(`${globals.json ? JSON.stringify(answer) : text}\n`)
  return ExitStatus.ok
}
