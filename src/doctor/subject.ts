import { describeError, errnoOf } from '../base/error.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import { loadConfig } from '../config/load.ts'
import { readConfigForHost } from './host-config.ts'
import type { ScratchOutcome } from './scratch.ts'

/** The host as far as the checks need to know of it. */
export interface Subject {
  /** Runs with the effective user id 0. */
  readonly root: boolean
  readonly config: ConfigFound
  readonly scratch: ScratchOutcome
}

/** What the config file says, or the defaults where there is none that can be read. */
export interface ConfigFound {
  readonly file: string
  readonly state:
    | { readonly kind: 'loaded'; readonly hash: string }
    | { readonly kind: 'absent' | 'hidden' }
    | { readonly kind: 'broken'; readonly reason: string }
  readonly settings: AgentConfig
}

/** Reads the config file at an absolute path; that it is absent or broken is an answer, not an error. */
export async function findConfig(file: string): Promise<ConfigFound> {
  try {
    const { config, hash } = await readConfigForHost(file)
    return { file, state: { kind: 'loaded', hash }, settings: config }
  } catch (error) {
    const settings = loadConfig('version: 1\nrouters: []\n', 'defaults', 'localhost')
    return { file, state: stateOf(error), settings }
  }
}

function stateOf(error: unknown): ConfigFound['state'] {
  const code = error instanceof Error ? errnoOf(error.cause) : undefined
  if (code === 'ENOENT') return { kind: 'absent' }
  return code === 'EACCES' ? { kind: 'hidden' } : { kind: 'broken', reason: describeError(error) }
}
