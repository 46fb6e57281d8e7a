import type { Clock } from '../base/instant.ts'
import { KeepwardError } from '../base/error.ts'
import { keepwardProtocol } from '../linux/address.ts'
import type { NamespaceView } from '../linux/namespace-view.ts'
import { namespaceInode, openNamespace } from '../linux/netns.ts'
import { watchKernel, type KernelWatch } from '../linux/watch.ts'
import type { KernelEvidence, ObservedInterface } from '../router/evidence.ts'
import type { RouterId } from '../router/spec.ts'
import { routerOfMark } from './mark.ts'
import type { HostEvent } from './operation.ts'

interface Tracked {
  readonly nsid: number
  readonly inode: number
  /** As of the last recheck. */
  named: boolean
  /** What the view was read as; views are never changed, only replaced. */
  read: { readonly view: NamespaceView; readonly interfaces: ReadonlyMap<string, ObservedInterface> } | undefined
  /** Rechecks since links were looked at as well. */
  rechecks: number
}

/** Addresses are looked at in every pass; links, which cost the kernel four times as much, in every tenth. */
const linksEvery = 10

/** Which namespace belongs to which router, and what the kernel watch says of it, as evidence for the core. */
export class Tracking {
  differences = 0
  readonly #watch: KernelWatch
  readonly #routers = new Map<number, RouterId>()
  readonly #tracked = new Map<RouterId, Tracked>()
  readonly #agent: string
  readonly #clock: Clock
  readonly #emit: (event: HostEvent) => void

  constructor(agent: string, clock: Clock, emit: (event: HostEvent) => void) {
    this.#agent = agent
    this.#clock = clock
    this.#emit = emit
    this.#watch = watchKernel({
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
    })
  }

  get overruns(): number {
    return this.#watch.overruns
  }

  view(router: RouterId): NamespaceView | undefined {
    const tracked = this.#tracked.get(router)
    return tracked === undefined ? undefined : this.#watch.view(tracked.nsid)
  }

  /** Look at the router's namespace again, and begin to watch it if it is there and was not watched. */
  recheck(router: RouterId, namespace: string): void {
    try {
      const tracked = this.#sameOrForget(router, namespace)
      if (tracked === undefined) this.#track(router, namespace)
      else if (this.#watch.resync(tracked.nsid, this.#depth(tracked))) this.differences += 1
      const view = this.view(router)
      if (view !== undefined) this.#show(router, view, 'recheck')
    } catch (error) {
      this.#forget(router)
      const missing = error instanceof KeepwardError && error.code === 'namespace-missing'
      this.#showAbsent(
        router,
        missing ? `namespace ${namespace} is not there` : `namespace ${namespace} cannot be read`,
        'recheck',
      )
    }
  }

  forget(router: RouterId): void {
    this.#forget(router)
    this.#showAbsent(router, 'the router was removed', 'watch')
  }

  close(): void {
    this.#watch.close()
  }

  /** A name that somebody removed, or gave to another namespace, leads elsewhere; the old one may live on, held by keepalived. */
  #sameOrForget(router: RouterId, namespace: string): Tracked | undefined {
    const tracked = this.#tracked.get(router)
    if (tracked === undefined) return undefined
    const inode = namespaceInode(namespace)
    tracked.named = inode === tracked.inode
    if (inode === undefined || tracked.named) return tracked
    this.#forget(router)
    return undefined
  }

  #track(router: RouterId, name: string): void {
    using namespace = openNamespace(name)
    const { nsid } = this.#watch.track(namespace)
    this.#tracked.set(router, { nsid, inode: namespace.inode, named: true, read: undefined, rechecks: 0 })
    this.#routers.set(nsid, router)
  }

  #forget(router: RouterId): void {
    const tracked = this.#tracked.get(router)
    this.#tracked.delete(router)
    if (tracked === undefined) return
    this.#routers.delete(tracked.nsid)
    this.#watch.untrack(tracked.nsid)
  }

  #show(router: RouterId, view: NamespaceView, from: 'watch' | 'recheck'): void {
    this.#emit({ type: 'kernel', router, evidence: this.#read(router, view), from })
  }

  #read(router: RouterId, view: NamespaceView): KernelEvidence {
    const tracked = this.#tracked.get(router)
    const known =
      tracked?.read?.view === view ? tracked.read : { view, interfaces: readView(view, this.#agent, router) }
    if (tracked !== undefined) tracked.read = known
    return { kind: 'present', interfaces: known.interfaces, named: tracked?.named ?? false, asOf: this.#clock() }
  }

  #depth(tracked: Tracked): 'all' | 'addresses' {
    tracked.rechecks += 1
    return tracked.rechecks % linksEvery === 0 ? 'all' : 'addresses'
  }

  #showAbsent(router: RouterId, reason: string, from: 'watch' | 'recheck'): void {
    this.#emit({ type: 'kernel', router, evidence: { kind: 'absent', reason, asOf: this.#clock() }, from })
  }
}

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
