import { KeepwardError } from '../base/error.ts'
import type { AgentConfig } from '../config/agent-config.ts'

/** Identity and paths belong to the process: refuse a config that changes them. Throws `config-invalid`. */
export function refuseOtherIdentity(inForce: AgentConfig, next: AgentConfig): void {
  const changed = [
    ...(inForce.agent.id === next.agent.id ? [] : ['agent.id']),
    ...(inForce.paths.state === next.paths.state ? [] : ['paths.state']),
    ...(inForce.paths.run === next.paths.run ? [] : ['paths.run']),
    ...(inForce.paths.host === next.paths.host ? [] : ['paths.host']),
    ...(inForce.agent.user === next.agent.user ? [] : ['agent.user']),
  ]
  if (changed.length === 0) return
  throw new KeepwardError('config-invalid', `${changed.join(' and ')} cannot change while the agent runs`, {
    hint: 'restart the agent to take them over; routers keep running meanwhile',
  })
}

/** Sections that differ from those the process started with, and that it takes over at its next start only. */
export function sectionsForRestart(started: AgentConfig, next: AgentConfig): string[] {
  const sections = ['control', 'journal', 'stateChange', 'logging'] as const
  return sections.filter((section) => JSON.stringify(started[section]) !== JSON.stringify(next[section]))
}
