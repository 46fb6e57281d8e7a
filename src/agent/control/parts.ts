import type { SafeDir } from '../../linux/safe-dir.ts'
import type { Applicant } from '../applicant.ts'
import type { Agent } from '../agent.ts'
import type { Executables } from '../executables.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Policy } from './permission.ts'

/** What the control API is made of. */
export interface ControlParts {
  readonly agent: Agent
  readonly executables: Executables
  readonly metrics: Metrics
  readonly log: Logger
  readonly version: string
  readonly dir: SafeDir
  readonly policy: Policy
  /** Make a new secret for notifiers; the one before is honoured for that long. */
  readonly rotateKeys: (graceMs: number, applicant: Applicant | undefined) => Promise<{ readonly untilMs: number }>
  /** Loopback port for /metrics and /healthz only; undefined: none. */
  readonly metricsPort: number | undefined
}
