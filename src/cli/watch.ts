import type { AgentStatus } from '../agent/api.ts'
import { call, stream } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { renderStatus } from './status.ts'

/** Ages grow by themselves: redrawn so often without news. */
const redrawMs = 1000
const clearScreen = '\u001b[H\u001b[2J'

/** `keepward watch`: the status, drawn again at every event and every second; `--json` prints one object a change. */
export async function watch(globals: Globals): Promise<number> {
  const draw = async () => {
    const status = await call<AgentStatus>(globals, 'GET', '/v1/status')
    const clear = process.stdout.isTTY ? clearScreen : ''
    print(globals, status, (shown) => `${clear}${renderStatus(shown)}`)
  }
  await draw()
  const timer = globals.json ? undefined : setInterval(() => void draw().catch(() => undefined), redrawMs)
  try {
    for await (const event of stream(globals, '/v1/events/stream')) if (event.kind !== 'error') await draw()
  } finally {
    clearInterval(timer)
  }
  return ExitStatus.ok
}
