import type { ReactionEvidence, ReactionName, Stance } from '../router/reaction.ts'
import { reactionNames } from '../router/reaction.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { Daemon, type ServicePlace } from '../reactions/daemon.ts'
import type { ServiceHome } from '../reactions/service-record.ts'
import { services } from '../reactions/services.ts'

/** `lastWords`: what it said, cut short; empty where nobody knows. */
type ServiceEnded = (router: RouterId, reaction: ReactionName, lastWords: string) => void

/** The services of all routers: of each router one is worked on at a time, and the newest wish ends an older one. */
export class Reactor {
  readonly #onEnded: ServiceEnded
  readonly #daemons = new Map<RouterId, ReadonlyMap<ReactionName, Daemon>>()
  readonly #runs = new Map<RouterId, { readonly abort: AbortController; readonly done: Promise<unknown> }>()

  constructor(onEnded: ServiceEnded) {
    this.#onEnded = onEnded
  }

  /** What is wanted of them, and those that are there. `spec`: undefined for a router that is to have none. */
  async look(router: RouterId, spec: RouterSpec | undefined, home: ServiceHome): Promise<ReactionEvidence[]> {
    const found: ReactionEvidence[] = []
    for (const [reaction, daemon] of this.#of(router)) {
      const one = await daemon.look(spec, home)
      if (one !== undefined) found.push({ reaction, ...one })
    }
    return found
  }

  /** Throws what {@link Daemon.take} throws; `reaction-cancelled` also when a newer wish came. Answers how it is then. */
  async react(
    { spec, reaction, stance }: { readonly spec: RouterSpec; readonly reaction: ReactionName; readonly stance: Stance },
    place: ServicePlace,
  ): Promise<ReactionEvidence['is']> {
    const daemon = this.#of(spec.id).get(reaction)
    if (daemon === undefined) return 'both'
    await this.#alone(spec.id, (signal) => daemon.take(stance, spec, place, signal))
    return (await daemon.look(spec, place.home))?.is ?? 'both'
  }

  /** End all that runs for a router. */
  async end(router: RouterId, home: ServiceHome): Promise<void> {
    await this.#alone(router, async () => {
      for (const daemon of this.#of(router).values()) await daemon.end(home)
    })
    this.#forget(router)
  }

  /** Look at nothing any more; what runs, runs on. */
  release(): void {
    for (const router of [...this.#daemons.keys()]) this.#forget(router)
  }

  #of(router: RouterId): ReadonlyMap<ReactionName, Daemon> {
    const known = this.#daemons.get(router)
    if (known !== undefined) return known
    const made = new Map(
      reactionNames.map((name) => {
        const onEnded = (lastWords: string) => {
          this.#onEnded(router, name, lastWords)
        }
        return [name, new Daemon(services[name], onEnded)] as const
      }),
    )
    this.#daemons.set(router, made)
    return made
  }

  #forget(router: RouterId): void {
    for (const daemon of this.#daemons.get(router)?.values() ?? []) daemon[Symbol.dispose]()
    this.#daemons.delete(router)
  }

  async #alone(router: RouterId, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const before = this.#runs.get(router)
    before?.abort.abort()
    const abort = new AbortController()
    const done = (before?.done ?? Promise.resolve()).catch(() => undefined).then(() => work(abort.signal))
    this.#runs.set(router, { abort, done })
    try {
      await done
    } finally {
      if (this.#runs.get(router)?.abort === abort) this.#runs.delete(router)
    }
  }
}
