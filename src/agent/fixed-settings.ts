import { KeepwardError } from '../base/error.ts'
import type { AgentConfig } from '../config/agent-config.ts'

/** Identity and paths belong to the process: refuse a config that changes them. Throws `config-invalid`. */
export function refuseOtherIdentity(inForce: AgentConfig, next: AgentConfig): void {
  const changed = [
    ...(inForce.agent.id === next.agent.id ? [] : ['agent.id']),
    ...(inForce.paths.state === next.paths.state ? [] : ['paths.state']),
    ...(inForce.paths.run === next.paths.run ? [] : ['paths.run']),
    ...(inForce.paths.host === next.paths.host ? [] : ['paths.host']),
    ...(inForce.paths.anchors === next.paths.anchors ? [] : ['paths.anchors']),
    ...(inForce.agent.user === next.agent.user ? [] : ['agent.user']),
  ]
  if (changed.length === 0) return
  throw new KeepwardError('config-invalid', `${changed.join(' and ')} cannot change while the agent runs`, {
    hint: 'restart the agent to take them over; routers keep running meanwhile',
  })
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

const atStart = ['control', 'journal', 'audit', 'stateChange', 'vault', 'logging'] as const

function differing(before: AgentConfig, next: AgentConfig, sections: readonly (keyof AgentConfig)[]): string[] {
  return sections.filter((section) => JSON.stringify(before[section]) !== JSON.stringify(next[section]))
}
