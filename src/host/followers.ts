import { openNamespace } from '../linux/netns.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { SettingsEvidence } from '../router/evidence.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { HookKeeper } from './hook-keeper.ts'
import type { HostAnswers, HostOperation, RootEvent } from './operation.ts'
import { Reactor } from './reactor.ts'
import type { RouterTable } from './router-table.ts'

export interface FollowersPlace {
  readonly agent: string
  /** Whom no hook may be. */
  readonly agentUid: number
  readonly table: RouterTable
  /** The caller closes it. */
  readonly homeOf: (router: RouterId) => SafeDir
  readonly emit: (event: RootEvent) => void
}

/** What follows the roles of all routers: services and hooks. */
export class Followers {
  readonly #place: FollowersPlace
  readonly #reactor: Reactor
  readonly #hooks: HookKeeper

  constructor(place: FollowersPlace) {
    this.#place = place
    this.#reactor = new Reactor((router, reaction, lastWords) => {
      place.emit({ type: 'service-ended', router, reaction, lastWords })
    })
    this.#hooks = new HookKeeper(place)
  }

  async react({ router, reaction, stance }: Extract<HostOperation, { verb: 'react' }>): Promise<HostAnswers['react']> {
    const spec = this.#place.table.wanted(router)
    using home = this.#place.homeOf(router)
    using namespace = openNamespace(spec.namespace)
    return await this.#reactor.react({ spec, reaction, stance }, { home, namespaceFd: namespace.fd })
  }

  async runHook({ router, hook, digest, ...news }: Extract<HostOperation, { verb: 'run-hook' }>): Promise<string> {
    const spec = this.#place.table.wanted(router)
    using home = this.#place.homeOf(router)
    return await this.#hooks.run(spec, { place: hook, digest }, news, home)
  }

  async look(
    spec: RouterSpec,
    home: SafeDir,
  ): Promise<Pick<Extract<SettingsEvidence, { kind: 'seen' }>, 'reactions' | 'hooks'>> {
    return { reactions: await this.#reactor.look(spec.id, spec, home), hooks: await this.#hooks.heard(spec, home) }
  }

  /** End all that runs for a router. */
  async end(router: RouterId, home: SafeDir): Promise<void> {
    await this.#hooks.end(router)
    await this.#reactor.end(router, home)
  }

  /** Services run on, and are looked at no more; hooks are ended. */
  release(): void {
    this.#reactor.release()
    this.#hooks.close()
  }
}
