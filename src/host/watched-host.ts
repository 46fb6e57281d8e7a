import type { Clock } from '../base/instant.ts'
import type { RouterId } from '../router/spec.ts'
import type {
  AgentOperation,
  Host,
  HostAnswers,
  HostCounters,
  HostEvent,
  RootEvent,
  RootHalf,
  Table,
} from './operation.ts'
import { Tracking } from './tracking.ts'

export interface WatchedHostParts {
  readonly agent: string
  readonly clock: Clock
  /** A socket for the watch, which the root half opened; closed with the host. */
  readonly watchFd: number
  readonly openRoot: (emit: (event: RootEvent) => void) => RootHalf
  readonly onVaultTrouble: (text: string | undefined) => void
  readonly onVaultLogin: () => void
}

/** The root half together with a kernel watch of our own: what changes in the kernel is heard without asking anybody. */
export class WatchedHost implements Host {
  readonly #root: RootHalf
  readonly #tracking: Tracking
  #notifyRejected = 0

  constructor(parts: WatchedHostParts, emit: (event: HostEvent) => void) {
    this.#root = parts.openRoot((event) => {
      if (event.type === 'rejected') this.#notifyRejected += 1
      else if (event.type === 'vault') parts.onVaultTrouble(event.trouble ?? undefined)
      else if (event.type === 'vault-login') parts.onVaultLogin()
      else emit(event)
    })
    const { agent, clock, watchFd: fd } = parts
    const look = (router: RouterId, depth: 'all' | 'addresses') => this.#root.perform({ verb: 'look', router, depth })
    this.#tracking = new Tracking({ agent, clock, fd, emit, look })
  }

  configure(table: Table | 'nothing'): Promise<void> {
    return this.#root.configure(table)
  }

  stage(table: Table): Promise<void> {
    return this.#root.stage(table)
  }

  async perform<O extends AgentOperation>(operation: O): Promise<HostAnswers[O['verb']]> {
    const answer = await this.#root.perform(operation)
    if (operation.verb === 'remove-router') this.#tracking.forget(operation.router)
    return answer
  }

  recheck(router: RouterId): Promise<void> {
    return this.#tracking.recheck(router)
  }

  counters(): HostCounters {
    return {
      netlinkOverruns: this.#tracking.overruns,
      recheckDifferences: this.#tracking.differences,
      notifyRejected: this.#notifyRejected,
    }
  }

  async close(): Promise<void> {
    this.#tracking.close()
    await this.#root.close()
  }
}
