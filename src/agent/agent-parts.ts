import type { Clock } from '../base/instant.ts'
import type { StartConfig } from '../config/applied.ts'
import type { ConfigFile, TrustedConfig } from '../config/trusted.ts'
import type { Privileges } from '../linux/privileges.ts'
import type { Host, HostEvent } from '../host/operation.ts'
import type { Journal } from '../journal/journal.ts'
import type { Chronicle } from './events.ts'
import type { Executables } from './executables.ts'
import type { Metrics } from './metrics.ts'

/** What an agent is made of; tests put a world in memory in the place of the host. */
export interface AgentParts {
  readonly config: TrustedConfig
  /** How it came to that config; unless told, it is what was applied last. */
  readonly start?: Omit<StartConfig, 'loaded'>
  /** The digest of the copy that the next start would take. */
  readonly keptDigest?: () => Promise<string | undefined>
  /** Read the config file again. Throws `config-unsafe` or `config-unreadable`. */
  readonly readConfig: () => Promise<ConfigFile>
  readonly makeHost: (emit: (event: HostEvent) => void) => Host
  readonly journal: Journal
  /** At the stop: the last record is on its way to the disk. */
  readonly beforeHostCloses?: () => Promise<void>
  readonly clock: Clock
  readonly boot: string
  readonly version: string
  readonly privileges: Privileges
  readonly executables: Executables
  readonly chronicle: Chronicle
  readonly metrics: Metrics
}
