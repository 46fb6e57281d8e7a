import type { AgentStatus } from '../agent/api.ts'

/** Exit statuses, as `docs/cli.md` lists them. */
export const ExitStatus = {
  ok: 0,
  /** `status`: something is raised, but every router does its work. */
  degraded: 1,
  /** `status`: something critical is raised. */
  critical: 2,
  /** `status`: the agent does not answer, or a role cannot be known. */
  unknown: 3,
  /** The command failed; the reason is on standard error. */
  failed: 4,
  /** The command line is wrong. */
  usage: 64,
} as const

const statuses: Readonly<Record<AgentStatus['health'], number>> = {
  healthy: ExitStatus.ok,
  degraded: ExitStatus.degraded,
  critical: ExitStatus.critical,
  unknown: ExitStatus.unknown,
}

export const statusOf = (health: AgentStatus['health']): number => statuses[health]
