import type { Clock } from '../base/instant.ts'
import type { HostEvent } from '../host/operation.ts'
import type { News } from '../router/hook.ts'
import { newRouter, type Recorded, type Router } from '../router/router.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import type { HookFigures } from './metrics.ts'
import { RouterQueue, type Executors } from './router-queue.ts'

/** How the set differs from a new config. */
export interface SetChange {
  readonly added: number
  readonly changed: number
  readonly removed: number
}

/** What the set needs of its surroundings. */
export interface SetPlace {
  readonly clock: Clock
  /** What the journal last said of a router. */
  recorded(id: RouterId): Recorded | undefined
  /** The newest change of its role that is on the disk. */
  news(id: RouterId): News | undefined
  onDefect(id: RouterId, error: unknown): void
  /** A router has been added to the set. */
  onAdded(queue: RouterQueue): void
  /** Look at a router's processes and settings, then feed its queue. */
  onEnded(queue: RouterQueue): void
}

/** All routers of this host, one queue each; a router that the config dropped stays until nothing of it is left. */
export class RouterSet {
  readonly #queues = new Map<RouterId, RouterQueue>()
  /** Wishes for routers whose former self, in another namespace, must go first. */
  readonly #successors = new Map<RouterId, RouterSpec>()
  readonly #executors: Executors
  readonly #place: SetPlace

  constructor(executors: Executors, place: SetPlace) {
    this.#executors = executors
    this.#place = place
  }

  get size(): number {
    return this.#queues.size
  }

  get queues(): readonly RouterQueue[] {
    return [...this.#queues.values()]
  }

  /** For the metrics: events in the queues, and what waits for hooks or was not told to them. */
  get figures(): { readonly queued: number; readonly hooks: HookFigures } {
    const sum = (of: (queue: RouterQueue) => number) => this.queues.reduce((total, queue) => total + of(queue), 0)
    return {
      queued: sum(({ depth }) => depth),
      hooks: {
        waiting: sum(({ router }) => router.hooks.waiting.length),
        dropped: sum(({ router }) => router.hooks.dropped),
        coalesced: sum(({ router }) => router.hooks.coalesced),
      },
    }
  }

  get(id: RouterId): RouterQueue | undefined {
    return this.#queues.get(id)
  }

  /** Take over the wanted routers; `orphans` are owned in the kernel and wanted by nobody. */
  want(specs: readonly RouterSpec[], orphans: readonly RouterId[] = []): SetChange {
    const wanted = new Map(specs.map((spec) => [spec.id, spec]))
    const change = { added: 0, changed: 0, removed: 0 }
    for (const [id, queue] of this.#queues) {
      if (wanted.has(id)) continue
      // Also of one that is on its way out: its successor is wanted no more either.
      const hadSuccessor = this.#successors.delete(id)
      if (queue.router.wanted === undefined) {
        if (hadSuccessor) change.removed += 1
        continue
      }
      change.removed += 1
      queue.enqueue({ type: 'wanted', spec: undefined })
    }
    for (const spec of specs) {
      const queue = this.#queues.get(spec.id)
      if (queue === undefined) {
        change.added += 1
        this.#want(this.#add(spec.id), spec)
      } else if (this.#wantAnew(queue, spec)) change.changed += 1
    }
    for (const id of orphans) {
      if (!this.#queues.has(id)) this.#add(id).enqueue({ type: 'wanted', spec: undefined })
    }
    return change
  }

  /** Pass a hint from the host on to its router. */
  tell(event: HostEvent): void {
    const queue = this.#queues.get(event.router)
    if (queue === undefined) return
    void queue.attempt(() => {
      switch (event.type) {
        case 'kernel':
          queue.enqueue({ type: 'kernel', evidence: event.evidence, from: event.from })
          break
        case 'notified':
          queue.enqueue({ type: 'notified', says: event.says })
          break
        case 'ended':
          this.#place.onEnded(queue)
          break
        case 'service-ended':
          queue.enqueue({ type: 'service-ended', reaction: event.reaction })
          break
      }
    })
  }

  /** Let go of routers of which nothing is left, and make their successors. */
  sweep(): void {
    for (const [id, queue] of this.#queues) {
      if (!isGone(queue.router)) continue
      queue.close()
      this.#queues.delete(id)
      const successor = this.#successors.get(id)
      this.#successors.delete(id)
      if (successor !== undefined) this.#want(this.#add(id), successor)
    }
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close()
  }

  #add(id: RouterId): RouterQueue {
    const place = this.#place
    const queue = new RouterQueue(
      newRouter(id, this.#recorded(id), place.clock()),
      this.#executors,
      place.clock,
      (error) => {
        place.onDefect(id, error)
      },
    )
    this.#queues.set(id, queue)
    void queue.attempt(() => {
      place.onAdded(queue)
    })
    return queue
  }

  /** Hooks that have not heard of its role hear of it: those of an agent that was killed, and new ones. */
  #want(queue: RouterQueue, spec: RouterSpec): void {
    queue.enqueue({ type: 'wanted', spec })
    const news = spec.hooks.length === 0 ? undefined : this.#place.news(spec.id)
    if (news !== undefined) queue.enqueue({ type: 'recorded', news })
  }

  /** What cannot be read of one router's past must not keep all from starting. */
  #recorded(id: RouterId): Recorded | undefined {
    try {
      return this.#place.recorded(id)
    } catch (error) {
      this.#place.onDefect(id, error)
      return undefined
    }
  }

  /** A router cannot move between namespaces: its old self is removed, then the new one is made. */
  #wantAnew(queue: RouterQueue, spec: RouterSpec): boolean {
    const before = queue.router.wanted
    if (sameSpec(before, spec)) return false
    const stays = before?.namespace === spec.namespace
    if (!stays) this.#successors.set(spec.id, spec)
    if (stays) this.#want(queue, spec)
    else if (before !== undefined) queue.enqueue({ type: 'wanted', spec: undefined })
    return true
  }
}

/** The config dropped it, and neither kernel, process nor file is left. */
export function isGone({ wanted, kernel, process, settings, work }: Router): boolean {
  if (wanted !== undefined || work.kind === 'performing') return false
  if (settings.kind !== 'seen' || settings.writtenDigest !== undefined) return false
  return kernel.kind === 'absent' && process.kind === 'absent'
}

const sameSpec = (a: RouterSpec | undefined, b: RouterSpec): boolean => JSON.stringify(a) === JSON.stringify(b)
