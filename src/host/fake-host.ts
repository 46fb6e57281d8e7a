import type { Clock } from '../base/instant.ts'
import { KeepwardError } from '../base/error.ts'
import { formatPrefix } from '../base/address.ts'
import type { ReactionName } from '../router/reaction.ts'
import type { ObservedAddress, ObservedInterface, Says } from '../router/evidence.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import {
  describe,
  ensureFilter,
  filterOf,
  heardBy,
  react,
  reactionsOf,
  reload,
  removeInterface,
  runHook,
  type FakeInterface,
  type FakeRouter,
} from './fake-router.ts'
import type { Host, HostAnswers, HostCounters, HostEvent, AgentOperation, Inspection, Table } from './operation.ts'

/**
 * A small world in the place of root, the kernel and keepalived: it keeps namespaces, interfaces and addresses, and
 * prints itself. Held to the same contract test as the real host.
 */
export class FakeHost implements Host {
  readonly performed: string[] = []
  readonly routers = new Map<RouterId, FakeRouter>()
  /** Set to make the next operation with that verb fail. */
  readonly failing = new Map<AgentOperation['verb'], KeepwardError>()
  readonly #clock: Clock
  readonly #emit: (event: HostEvent) => void
  #specs: ReadonlyMap<RouterId, RouterSpec> = new Map()
  #staged: ReadonlyMap<RouterId, RouterSpec> = new Map()
  #nextPid = 1000

  constructor(clock: Clock, emit: (event: HostEvent) => void) {
    this.#clock = clock
    this.#emit = emit
  }

  configure(table: Table | 'nothing'): Promise<void> {
    const routers = table === 'nothing' ? [] : table.routers
    this.#specs = new Map(routers.map((spec) => [spec.id, spec]))
    return Promise.resolve()
  }

  stage({ routers }: Table): Promise<void> {
    this.#staged = new Map(routers.map((spec) => [spec.id, spec]))
    return Promise.resolve()
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the real one waits; errors must be rejections
  async perform<O extends AgentOperation>(operation: O): Promise<HostAnswers[O['verb']]> {
    this.performed.push(describe(operation))
    const failure = this.failing.get(operation.verb)
    if (failure !== undefined) throw failure
    return this.#answer(operation) as HostAnswers[O['verb']]
  }

  recheck(router: RouterId): Promise<void> {
    this.#show(router, 'recheck')
    return Promise.resolve()
  }

  counters(): HostCounters {
    return { netlinkOverruns: 0, recheckDifferences: 0, notifyRejected: 0 }
  }

  async close(): Promise<void> {
    await Promise.resolve()
  }

  /** keepalived of `router` takes a role: it moves the addresses, then writes its line. A deaf one takes none. */
  elect(router: RouterId, says: Says): void {
    const it = this.#known(router)
    const spec = this.#specs.get(router)
    if (it.keepalived === undefined || it.keepalived.deaf || spec === undefined) return
    it.keepalived.says = says
    for (const address of [{ ...spec.marker, interface: spec.haInterface }, ...spec.virtualAddresses]) {
      const on = it.interfaces.get(address.interface)
      if (on === undefined) continue
      on.addresses = on.addresses.filter((held) => held.address !== address.address)
      if (says === 'primary') on.addresses.push({ ...address, ours: false })
    }
    this.#show(router, 'watch')
    this.#emit({ type: 'notified', router, says })
  }

  /** Both processes of keepalived end at once; the addresses stay. */
  killKeepalived(router: RouterId): void {
    this.#known(router).keepalived = undefined
    this.#emit({ type: 'ended', router })
  }

  setLink(router: RouterId, name: string, state: Partial<Pick<FakeInterface, 'up' | 'carrier'>>): void {
    Object.assign(this.#known(router).interfaces.get(name) ?? {}, state)
    this.#show(router, 'watch')
  }

  deleteNamespace(router: RouterId): void {
    this.routers.delete(router)
    this.#show(router, 'watch')
  }

  addAddress(router: RouterId, name: string, address: ObservedAddress): void {
    this.#known(router).interfaces.get(name)?.addresses.push(address)
    this.#show(router, 'watch')
  }

  removeAddress(router: RouterId, name: string, address: string): void {
    const on = this.#known(router).interfaces.get(name)
    if (on !== undefined) on.addresses = on.addresses.filter((held) => held.address !== address)
    this.#show(router, 'watch')
  }

  /** The service of a reaction dies. */
  killService(router: RouterId, reaction: ReactionName): void {
    this.#known(router).services.delete(reaction)
    this.#emit({ type: 'service-ended', router, reaction })
  }

  /** Somebody removes the filter. */
  loseFilter(router: RouterId): void {
    this.#known(router).filter = undefined
  }

  /** The world as `ip` would tell it. */
  print(): string {
    const lines: string[] = []
    for (const [, router] of this.routers) {
      lines.push(`ip netns add ${router.namespace}`)
      for (const [name, link] of router.interfaces) {
        lines.push(`ip -n ${router.namespace} link set ${name} ${link.up ? 'up' : 'down'}`)
        for (const address of link.addresses) {
          lines.push(`ip -n ${router.namespace} address add ${formatPrefix(address)} dev ${name}`)
        }
      }
      if (router.keepalived !== undefined) lines.push(`ip netns exec ${router.namespace} keepalived`)
    }
    return lines.join('\n')
  }

  #answer(operation: AgentOperation): HostAnswers[AgentOperation['verb']] {
    switch (operation.verb) {
      case 'inspect':
        return this.#inspect(operation.router, this.#specs)
      case 'glance':
        return this.#inspect(operation.router, this.#specs).process
      case 'preview':
        return this.#inspect(operation.router, this.#staged)
      case 'ask-keepalived':
        return this.#ask(operation.router)
      case 'react':
        return react(
          this.#known(operation.router),
          this.#wanted(operation.router),
          operation.reaction,
          operation.stance,
        )
      case 'run-hook':
        return runHook(this.#known(operation.router), this.#wanted(operation.router), operation)
      case 'list-owned':
        return [...this.routers].map(([router, { namespace }]) => ({ router, namespace }))
      case 'remove-router':
        if (!this.routers.has(operation.router)) this.#wanted(operation.router)
        this.routers.delete(operation.router)
        this.#show(operation.router, 'watch')
        return undefined
      case 'ensure-namespace':
      case 'ensure-interface':
      case 'remove-interface':
      case 'ensure-filter':
      case 'write-config':
      case 'start-keepalived':
      case 'reload-keepalived':
        this.#change(operation, this.#wanted(operation.router))
        this.#show(operation.router, 'watch')
        return undefined
    }
  }

  #change(operation: Extract<AgentOperation, { router: RouterId }>, spec: RouterSpec): void {
    if (operation.verb === 'ensure-namespace') {
      this.#ensureNamespace(spec)
      return
    }
    const it = this.#known(spec.id)
    if (operation.verb === 'ensure-interface') this.#ensureInterface(it, spec, operation.interface)
    if (operation.verb === 'remove-interface') removeInterface(it, operation.interface, spec)
    if (operation.verb === 'ensure-filter') ensureFilter(it, spec)
    if (operation.verb === 'write-config') it.written = JSON.stringify(spec)
    if (operation.verb === 'start-keepalived') this.#start(it, spec)
    if (operation.verb === 'reload-keepalived') reload(it)
  }

  #ensureNamespace(spec: RouterSpec): void {
    if (this.routers.has(spec.id)) return
    const interfaces = new Map(
      spec.interfaces
        .filter((one) => one.attach.kind === 'existing')
        .map((one) => [one.name, { up: true, carrier: true, ours: false, mtu: 1500, addresses: [] }]),
    )
    this.routers.set(spec.id, {
      namespace: spec.namespace,
      interfaces,
      written: undefined,
      filter: undefined,
      keepalived: undefined,
      services: new Map(),
      heard: [],
      told: [],
    })
  }

  #ensureInterface(it: FakeRouter, spec: RouterSpec, name: string): void {
    const wanted = spec.interfaces.find((one) => one.name === name)
    if (wanted === undefined)
      throw new KeepwardError('interface-undeclared', `Router ${spec.id} declares no interface ${name}`)
    const before = it.interfaces.get(name)
    if (before === undefined && wanted.attach.kind === 'existing')
      throw new KeepwardError('interface-missing', `Interface ${name} is not in namespace ${spec.namespace}`)
    const kept = (before?.addresses ?? []).filter((held) => !held.ours)
    const addresses = [...kept, ...wanted.addresses.map((address) => ({ ...address, ours: true }))]
    const mtu = wanted.mtu ?? before?.mtu ?? 1500
    it.interfaces.set(name, { up: true, carrier: before?.carrier ?? true, ours: before?.ours ?? true, mtu, addresses })
  }

  #start(it: FakeRouter, spec: RouterSpec): void {
    for (const link of it.interfaces.values()) {
      link.addresses = link.addresses.filter(
        (held) =>
          held.address !== spec.marker.address && !spec.virtualAddresses.some((one) => one.address === held.address),
      )
    }
    const pid = this.#nextPid
    this.#nextPid += 2
    it.keepalived = { pid, childPid: pid + 1, says: 'backup', loaded: it.written ?? '', stopped: false, deaf: false }
  }

  #inspect(router: RouterId, specs: ReadonlyMap<RouterId, RouterSpec>): Inspection {
    const asOf = this.#clock()
    const it = this.routers.get(router)
    const spec = specs.get(router)
    const wanted = spec === undefined ? '' : JSON.stringify(spec)
    const alive = it?.keepalived
    return {
      process:
        alive === undefined
          ? { kind: 'absent', asOf }
          : { kind: 'running', ...alive, tied: false, startedAt: asOf, loadedDigest: alive.loaded, asOf },
      settings: {
        kind: 'seen',
        namespaceReady: it !== undefined,
        wantedDigest: wanted,
        writtenDigest: it?.written,
        change: alive === undefined || alive.loaded === wanted ? 'none' : 'may-move-role',
        misattached: [],
        filter: filterOf(it, spec),
        reactions: reactionsOf(it, spec),
        hooks: heardBy(it, spec),
        asOf,
      },
    }
  }

  #ask(router: RouterId): HostAnswers['ask-keepalived'] {
    const asOf = this.#clock()
    const alive = this.routers.get(router)?.keepalived
    if (alive === undefined) throw new KeepwardError('keepalived-silent', `keepalived of router ${router} does not run`)
    if (alive.stopped) return { kind: 'silent', since: asOf, asOf, before: undefined, why: 'keepalived is stopped' }
    return { kind: 'said', says: alive.says, priority: this.#specs.get(router)?.priority ?? 0, asOf }
  }

  #show(router: RouterId, from: 'watch' | 'recheck'): void {
    const asOf = this.#clock()
    const it = this.routers.get(router)
    const interfaces = new Map<string, ObservedInterface>()
    for (const [name, link] of it?.interfaces ?? []) {
      interfaces.set(name, { ...link, macAddress: '02:00:00:00:00:01', addresses: [...link.addresses] })
    }
    const evidence =
      it === undefined
        ? ({ kind: 'absent', reason: `namespace of router ${router} is not there`, asOf } as const)
        : ({ kind: 'present', interfaces, named: true, asOf } as const)
    this.#emit({ type: 'kernel', router, evidence, from })
  }

  #known(router: RouterId): FakeRouter {
    const it = this.routers.get(router)
    if (it === undefined) throw new KeepwardError('namespace-missing', `Router ${router} has no namespace`)
    return it
  }

  #wanted(router: RouterId): RouterSpec {
    const spec = this.#specs.get(router)
    if (spec === undefined) throw new KeepwardError('router-unknown', `The config declares no router ${router}`)
    return spec
  }
}
