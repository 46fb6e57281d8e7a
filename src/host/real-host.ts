import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../base/instant.ts'
import { KeepwardError } from '../base/error.ts'
import { askKeepalived } from '../keepalived/ask.ts'
import type { KeepalivedView } from '../keepalived/dump.ts'
import { probeFeatures } from '../keepalived/features.ts'
import { reloadKeepalived, startKeepalived } from '../keepalived/process.ts'
import { openNetlink, type NetlinkSocket } from '../linux/netlink-socket.ts'
import { namespaceInode, openNamespace } from '../linux/netns.ts'
import type { ProcessHandle } from '../linux/process.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { ProcessEvidence, Says } from '../router/evidence.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { DigestSeal } from './digest-seal.ts'
import { Followers } from './followers.ts'
import { Hints } from './hints.ts'
import { lookInside } from './look-inside.ts'
import { ensureInterface, misattached, removeInterface } from './interface.ts'
import { openSecrets, type KnownSecrets, type VaultReader } from './known-secrets.ts'
import { compareConfig, writeConfig, type RenderPlace } from './keepalived-config.ts'
import { Lanes } from './lanes.ts'
import { clearVirtualAddresses } from './leftover.ts'
import { namespaceBatch } from './namespace-batch.ts'
import { ensureNamespace, namespaceReady } from './namespace.ts'
import { lookAhead, nothingLeft } from './nothing-left.ts'
import { besides } from './operation.ts'
import type { HostAnswers, HostOperation, Inspection, NamespaceLook, RootEvent, RootHalf, Table } from './operation.ts'
import { listOwned } from './owned.ts'
import { OperatorRules } from './operator-rules.ts'
import { endKeepalived, removeRouter } from './removal.ts'
import { RouterTable, unknownRouter } from './router-table.ts'
import { Supervised } from './supervised.ts'
import { TableKeeper } from './table-keeper.ts'

export interface RealHostOptions {
  /** Agent id, part of every mark. */
  readonly agent: string
  /** Sockets, FIFO and rendered files; root's. */
  readonly runDir: SafeDir
  readonly clock: Clock
  /** Whom no hook may be. */
  readonly agentUid: number
  /** Where the config names one, and a login of the root half. */
  readonly vault?: VaultReader | undefined
}

type Options = RealHostOptions & { readonly seal: DigestSeal; readonly secrets: KnownSecrets }

/** Look for keepalived, then give the maker of the host. Throws `keepalived-missing` or `keepalived-too-old`. */
export async function openRealHost(options: RealHostOptions): Promise<(emit: (event: RootEvent) => void) => RootHalf> {
  const features = await probeFeatures()
  const seal = await DigestSeal.open(options.runDir)
  return (emit) => new RealHost({ ...options, seal, secrets: openSecrets(options.vault, emit) }, features, emit)
}

class RealHost implements RootHalf {
  readonly #options: Options
  readonly #emit: (event: RootEvent) => void
  readonly #hints: Hints
  readonly #place: RenderPlace
  /** Of the staged table: a look at it must not change what running routers get. */
  #stagedPlace: RenderPlace
  readonly #homes: SafeDir
  /** In the host's own namespace: bridges and parents are looked up here. */
  readonly #socket: NetlinkSocket
  readonly #supervised = new Map<RouterId, Supervised>()
  readonly #table = new RouterTable()
  readonly #lanes = new Lanes()
  readonly #createNamespace = namespaceBatch()
  readonly #rules: OperatorRules
  readonly #tables: TableKeeper
  readonly #followers: Followers
  #closed = false

  constructor(options: Options, features: RenderPlace['features'], emit: (event: RootEvent) => void) {
    this.#options = options
    this.#emit = emit
    this.#socket = openNetlink()
    this.#homes = options.runDir.sub('routers', { create: true, volatile: true })
    this.#hints = new Hints(options.runDir, emit)
    this.#rules = new OperatorRules(options.runDir.sub('packet-filters', { create: true, volatile: true }))
    this.#tables = new TableKeeper(options.clock, this.#rules)
    this.#followers = new Followers({
      ...options,
      table: this.#table,
      homeOf: this.#home.bind(this),
      emit,
    })
    this.#place = { features, fifoPath: this.#hints.fifoPath, secrets: options.secrets }
    this.#stagedPlace = this.#place
  }

  async configure(table: Table | 'nothing'): Promise<void> {
    const routers = await this.#rules.take(table)
    this.#options.secrets.forget()
    this.#table.configure(routers)
  }

  async stage(table: Table): Promise<void> {
    this.#stagedPlace = { ...this.#place, secrets: this.#options.secrets.ahead() }
    this.#table.stage(await this.#rules.tried(table))
  }

  async perform<O extends HostOperation>(operation: O): Promise<HostAnswers[O['verb']]> {
    // Netlink is synchronous: between two operations, events of other routers get their turn.
    await nextTurn()
    const answer = () => this.#answer(operation)
    const alone = 'router' in operation && !besides.has(operation.verb)
    try {
      return (await (alone ? this.#lanes.of(operation.router)(answer) : answer())) as HostAnswers[O['verb']]
    } finally {
      // One that was under way at the close may have taken hold of a keepalived since: its pidfd would keep us alive.
      if (this.#closed) this.#release()
    }
  }

  close(): Promise<void> {
    this.#hints.close()
    this.#socket.close()
    this.#closed = true
    this.#release()
    return Promise.resolve()
  }

  #release(): void {
    for (const one of this.#supervised.values()) one.release()
    this.#followers.release()
  }

  async #answer(operation: HostOperation): Promise<HostAnswers[HostOperation['verb']]> {
    switch (operation.verb) {
      case 'react':
        return this.#followers.react(operation)
      case 'run-hook':
        return this.#followers.runHook(operation)
      case 'list-owned':
        return this.#listOwned()
      case 'look':
        return this.#lookInside(operation.router, operation.depth)
      case 'inspect':
        return this.#options.seal.inspection(await this.#look(operation.router))
      case 'glance':
        return this.#options.seal.process(await this.#glance(operation.router))
      case 'preview':
        return this.#options.seal.inspection(
          await this.#inspect(operation.router, this.#table.staged(operation.router), this.#stagedPlace),
        )
      case 'ask-keepalived':
        return this.#ask(operation.router)
      case 'ensure-namespace':
        await this.#ensureNamespace(this.#table.wanted(operation.router))
        return undefined
      case 'ensure-interface':
        ensureInterface(this.#table.wanted(operation.router), operation.interface, this.#options.agent, this.#socket)
        return undefined
      case 'remove-interface':
        removeInterface(this.#table.wanted(operation.router), operation.interface, this.#options.agent)
        return undefined
      case 'ensure-table':
        await this.#tables.ensure(this.#table.wanted(operation.router), operation.table)
        return undefined
      case 'write-config':
        return this.#writeConfig(this.#table.wanted(operation.router))
      case 'start-keepalived':
        return this.#start(this.#table.wanted(operation.router))
      case 'reload-keepalived':
        return this.#reload(operation.router)
      case 'remove-router':
        return this.#remove(operation.router)
    }
  }

  #listOwned(): HostAnswers['list-owned'] {
    const owned = listOwned(this.#options.agent)
    this.#table.retireStrays(owned)
    return owned
  }

  async #glance(router: RouterId): Promise<ProcessEvidence> {
    return this.#supervisedOf(router).glance() ?? (await this.#look(router)).process
  }

  #look(router: RouterId): Promise<Inspection> {
    return this.#inspect(router, this.#table.wantedHere(router), this.#place)
  }

  async #inspect(router: RouterId, spec: RouterSpec | undefined, place: RenderPlace): Promise<Inspection> {
    const namespace = this.#table.namespaceOf(router)
    const asOf = this.#options.clock()
    if (namespace === undefined) return lookAhead(spec, place, asOf)
    using home = this.#home(router)
    const process = await this.#supervisedOf(router).look(home, namespaceInode(namespace))
    if (spec === undefined) {
      const files = await home.list()
      // Nothing was made yet when the config dropped it: there is nothing to remove, and it may come back.
      if (files.length === 0 && process.kind === 'absent' && namespaceInode(namespace) === undefined) {
        this.#table.removed(router)
        await this.#homes.removeDirectory(router)
      }
      return { process, settings: { ...nothingLeft(asOf), writtenDigest: files.length === 0 ? undefined : 'left' } }
    }
    return {
      process,
      settings: {
        kind: 'seen',
        namespaceReady: namespaceReady(spec),
        ...(await compareConfig(spec, home, place)),
        misattached: misattached(spec, this.#options.agent, this.#socket),
        tables: this.#tables.look(spec),
        ...(await this.#followers.look(spec, home)),
        asOf,
      },
    }
  }

  #lookInside(router: RouterId, depth: 'all' | 'addresses'): NamespaceLook {
    const holder = this.#supervised.get(router)?.process?.pid
    return lookInside(this.#table.namespaceOf(router), holder, this.#socket, depth)
  }

  async #ask(router: RouterId): Promise<HostAnswers['ask-keepalived']> {
    const process = this.#running(router)
    using home = this.#home(router)
    const view: KeepalivedView = await askKeepalived(home, process, this.#place.features, router)
    const says: Says = view.says === 'unknown' ? 'starting' : view.says
    return { kind: 'said', says, priority: view.effectivePriority, asOf: this.#options.clock() }
  }

  async #ensureNamespace(spec: RouterSpec): Promise<void> {
    const holder = this.#supervised.get(spec.id)?.process?.pid
    await ensureNamespace(spec, this.#options.agent, holder, this.#createNamespace)
  }

  async #writeConfig(spec: RouterSpec): Promise<undefined> {
    using home = this.#home(spec.id)
    using namespace = openNamespace(spec.namespace)
    await writeConfig(spec, home, namespace.fd, this.#place)
  }

  async #start(spec: RouterSpec): Promise<undefined> {
    using home = this.#home(spec.id)
    using namespace = openNamespace(spec.namespace)
    const supervised = this.#supervisedOf(spec.id)
    // One that lives in a namespace which has lost its name to this one would be a second voice on the link.
    await endKeepalived(home, supervised)
    clearVirtualAddresses(spec, namespace.fd)
    const { process } = await startKeepalived(home, namespace.fd)
    const { writtenDigest } = await compareConfig(spec, home, this.#place)
    supervised.hold(process, writtenDigest)
  }

  async #reload(router: RouterId): Promise<undefined> {
    const process = this.#running(router)
    using home = this.#home(router)
    await reloadKeepalived(home, process)
    const { writtenDigest } = await compareConfig(this.#table.wanted(router), home, this.#place)
    this.#supervisedOf(router).hold(process, writtenDigest)
  }

  async #remove(router: RouterId): Promise<undefined> {
    const namespace = this.#table.namespaceOf(router)
    if (namespace === undefined) throw unknownRouter(router)
    {
      using home = this.#home(router)
      await this.#followers.end(router, home)
      await endKeepalived(home, this.#supervisedOf(router))
    }
    await removeRouter(router, namespace, this.#homes, this.#options.agent)
    this.#supervised.get(router)?.release()
    this.#supervised.delete(router)
    this.#lanes.forget(router)
    this.#tables.forget(router)
    this.#table.removed(router)
  }

  #running(router: RouterId): ProcessHandle {
    const process = this.#supervised.get(router)?.process
    if (process !== undefined) return process
    throw new KeepwardError('keepalived-silent', `keepalived of router ${router} does not run`)
  }

  #supervisedOf(router: RouterId): Supervised {
    const known = this.#supervised.get(router)
    if (known !== undefined) return known
    const made = new Supervised(this.#options.clock, () => {
      this.#emit({ type: 'ended', router })
    })
    this.#supervised.set(router, made)
    return made
  }

  #home(router: RouterId): SafeDir {
    return this.#homes.sub(router, { create: true })
  }
}
