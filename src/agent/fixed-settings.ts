import type { AgentConfig } from '../config/agent-config.ts'
import type { TrustedConfig } from '../config/trusted.ts'

/** Identity and paths belong to the process: it keeps those it was started with, whatever a later config says. */
export function withIdentityOf({ agent, paths }: AgentConfig, next: TrustedConfig): TrustedConfig {
  return { ...next, config: { ...next.config, agent, paths } }
}

/** Sections beside the routers that differ, by when the agent takes them over. */
export interface SectionChange {
  /** Differ from what is in force, and take effect when they are applied. */
  readonly sections: string[]
  /** Differ from what the process started with, and take effect at its next start only. */
  readonly restartFor: string[]
}

export function compareSections(started: AgentConfig, inForce: AgentConfig, next: AgentConfig): SectionChange {
  return { sections: differing(inForce, next, ['config', 'reconcile']), restartFor: differing(started, next, atStart) }
}

const atStart = ['agent', 'paths', 'control', 'journal', 'audit', 'stateChange', 'sinks', 'vault', 'logging'] as const

function differing(before: AgentConfig, next: AgentConfig, sections: readonly (keyof AgentConfig)[]): string[] {
  return sections.filter((section) => JSON.stringify(before[section]) !== JSON.stringify(next[section]))
}
