import { resolve } from 'node:path'
import { runAgent } from '../agent/run.ts'
import { endOnDefect } from './failure.ts'
import type { Globals } from './globals.ts'

/** `keepward agent`: run until SIGTERM; keepalived runs on. With `--teardown`, remove what was made, and end. */
export function agent({ config }: Globals, { teardown }: Record<string, unknown>): Promise<number> {
  endOnDefect()
  return runAgent(resolve(config), { teardown: teardown === true })
}
