import type { Clock } from '../base/instant.ts'
import { describeError, KeepwardError, type ErrorCode } from '../base/error.ts'
import { keepwardProtocol } from '../linux/address.ts'
import type { NamespaceView } from '../linux/namespace-view.ts'
import { watchKernel, type KernelWatch, type Snapshot } from '../linux/watch.ts'
import type { KernelEvidence, ObservedInterface } from '../router/evidence.ts'
import type { RouterId } from '../router/spec.ts'
import { routerOfMark } from './mark.ts'
import type { HostEvent, NamespaceLook } from './operation.ts'

export interface TrackingParts {
  readonly agent: string
  readonly clock: Clock
  /** Of the watch; closed with it. */
  readonly fd: number
  readonly emit: (event: HostEvent) => void
  /** Ask the root half what a router's namespace holds. */
  readonly look: (router: RouterId, depth: 'all' | 'addresses') => Promise<NamespaceLook>
}

interface Tracked {
  readonly nsid: number
  readonly inode: number
  /** As of the last look. */
  named: boolean
  /** What the view was read as; views are never changed, only replaced. */
  read: { readonly view: NamespaceView; readonly interfaces: ReadonlyMap<string, ObservedInterface> } | undefined
  /** Looks since links were looked at as well. */
  looks: number
}

/** Addresses are looked at in every pass; links, which cost the kernel four times as much, in every tenth. */
const linksEvery = 10

/** Which namespace belongs to which router, and what the kernel watch says of it, as evidence for the core. */
export class Tracking {
  differences = 0
  readonly #parts: TrackingParts
  readonly #watch: KernelWatch
  readonly #routers = new Map<number, RouterId>()
  readonly #tracked = new Map<RouterId, Tracked>()
  /** Looks that run, and whether another one was asked for since it began. */
  readonly #looking = new Map<RouterId, { again: boolean; readonly done: Promise<void> }>()
  #closed = false

  constructor(parts: TrackingParts) {
    this.#parts = parts
    this.#watch = watchKernel({
      fd: parts.fd,
      onChange: (nsid, view, cause) => {
        const router = this.#routers.get(nsid)
        if (router !== undefined) this.#show(router, view, cause.kind === 'event' ? 'watch' : 'recheck')
      },
      onGone: (nsid) => {
        const router = this.#routers.get(nsid)
        this.#routers.delete(nsid)
        if (router === undefined) return
        this.#tracked.delete(router)
        this.#showAbsent(router, 'the namespace is gone', 'watch')
      },
      onOverrun: () => {
        const routers = [...this.#tracked.keys()]
        this.#tracked.clear()
        this.#routers.clear()
        for (const router of routers) void this.recheck(router)
      },
    })
  }

  get overruns(): number {
    return this.#watch.overruns
  }

  /**
   * Look at the router's namespace again, and begin to watch it if it is there and was not watched. Resolves once that has been told; never
   * rejects.
   */
  async recheck(router: RouterId): Promise<void> {
    const running = this.#looking.get(router)
    if (running !== undefined) {
      running.again = true
      return running.done
    }
    const { promise: done, resolve } = Promise.withResolvers<undefined>()
    const started = { again: true, done: done.then(() => undefined) }
    this.#looking.set(router, started)
    while (started.again && !this.#closed) {
      started.again = false
      await this.#look(router)
    }
    this.#looking.delete(router)
    resolve(undefined)
  }

  forget(router: RouterId): void {
    this.#forget(router)
    this.#showAbsent(router, 'the router was removed', 'watch')
  }

  close(): void {
    this.#closed = true
    this.#watch.close()
  }

  async #look(router: RouterId): Promise<void> {
    let absent = ''
    let found: Extract<NamespaceLook, { kind: 'present' }> | undefined
    const take = async (): Promise<Snapshot | undefined> => {
      const look = await this.#parts.look(router, this.#depth(router))
      if (look.kind === 'absent') absent = look.reason
      else found = look
      return look.kind === 'absent' ? undefined : look
    }
    try {
      const settled = await this.#watch.look(take)
      if (this.#closed) return
      if (settled === undefined || found === undefined) {
        this.#forget(router)
        this.#showAbsent(router, absent, 'recheck')
      } else this.#take(router, found, settled.missed)
    } catch (error) {
      // Who does not answer says nothing of the namespace; the core counts how long nobody has.
      if (this.#closed || isUnanswered(error)) return
      this.#forget(router)
      this.#showAbsent(router, `the namespace cannot be read: ${describeError(error)}`, 'recheck')
    }
  }

  #take(router: RouterId, { nsid, inode, named }: Extract<NamespaceLook, { kind: 'present' }>, missed: boolean): void {
    const known = this.#tracked.get(router)
    if (known !== undefined && known.nsid === nsid && known.inode === inode) known.named = named
    else {
      this.#forget(router, nsid)
      this.#tracked.set(router, { nsid, inode, named, read: undefined, looks: 0 })
      this.#routers.set(nsid, router)
    }
    if (missed) this.differences += 1
    const view = this.#watch.view(nsid)
    if (view !== undefined) this.#show(router, view, 'recheck')
  }

  /** `but`: an id that goes on to be watched. */
  #forget(router: RouterId, but?: number): void {
    const tracked = this.#tracked.get(router)
    this.#tracked.delete(router)
    if (tracked === undefined) return
    this.#routers.delete(tracked.nsid)
    if (tracked.nsid !== but) this.#watch.untrack(tracked.nsid)
  }

  /** Called while the kernel's messages are read: what cannot be understood of one router must not end the reading for all. */
  #show(router: RouterId, view: NamespaceView, from: 'watch' | 'recheck'): void {
    try {
      this.#parts.emit({ type: 'kernel', router, evidence: this.#read(router, view), from })
    } catch (error) {
      this.#showAbsent(router, `what the namespace holds is not understood: ${describeError(error)}`, from)
    }
  }

  #read(router: RouterId, view: NamespaceView): KernelEvidence {
    const tracked = this.#tracked.get(router)
    const known =
      tracked?.read?.view === view ? tracked.read : { view, interfaces: readView(view, this.#parts.agent, router) }
    if (tracked !== undefined) tracked.read = known
    return { kind: 'present', interfaces: known.interfaces, named: tracked?.named ?? false, asOf: this.#parts.clock() }
  }

  #depth(router: RouterId): 'all' | 'addresses' {
    const tracked = this.#tracked.get(router)
    if (tracked === undefined) return 'all'
    tracked.looks += 1
    return tracked.looks % linksEvery === 0 ? 'all' : 'addresses'
  }

  #showAbsent(router: RouterId, reason: string, from: 'watch' | 'recheck'): void {
    this.#parts.emit({ type: 'kernel', router, evidence: { kind: 'absent', reason, asOf: this.#parts.clock() }, from })
  }
}

const isUnanswered = (error: unknown): boolean => error instanceof KeepwardError && unanswered.includes(error.code)
const unanswered: readonly ErrorCode[] = ['host-unreachable', 'resources-exhausted']

/** What a namespace holds, as evidence. */
export function readView(view: NamespaceView, agent: string, router: RouterId): ReadonlyMap<string, ObservedInterface> {
  const interfaces = new Map<string, ObservedInterface>()
  for (const link of view.links) {
    interfaces.set(link.name, {
      up: link.up,
      carrier: link.carrier,
      ours: routerOfMark(agent, link.alias) === router,
      mtu: link.mtu,
      macAddress: link.macAddress ?? '',
      addresses: view.addresses
        .filter(({ ifindex }) => ifindex === link.ifindex)
        .map(({ family, address, prefixLength, protocol }) => ({
          family,
          address,
          prefixLength,
          ours: protocol === keepwardProtocol,
        })),
    })
  }
  return interfaces
}
