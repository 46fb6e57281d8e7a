import pLimit from 'p-limit'
import type { AgentConfig } from '../config/agent-config.ts'
import type { TrustedConfig } from '../config/trusted.ts'
import { ConfigInForce, hashOf, lookAtFile, type FileSeen } from './config-in-force.ts'
import { KeepwardError } from '../base/error.ts'
import type { Instant } from '../base/instant.ts'
import type { Host } from '../host/operation.ts'
import type { Journal } from '../journal/journal.ts'
import type { Reporting } from '../report/reporting.ts'
import { compareConditions, type Raised } from '../router/condition.ts'
import { parseRouterId } from '../router/spec.ts'
import { Claims } from './claims.ts'
import type { Applicant } from './applicant.ts'
import type { AgentStatus, ApplyAnswer, Explanation, PlanAnswer } from './api.ts'
import type { AgentParts } from './agent-parts.ts'
import { makeExecutors } from './executors.ts'
import { compareSections, withIdentityOf, type SectionChange } from './fixed-settings.ts'
import { ownConditions, type Troubles } from './own-conditions.ts'
import { previewConfig, tableOf } from './preview.ts'
import { startReconciling } from './reconcile.ts'
import { recordedRole } from './record.ts'
import { Recorder } from './recorder.ts'
import { RouterSet } from './router-set.ts'
import { untilGone } from './teardown.ts'
import { explainRouter, overallHealth, viewClaims, viewConditions, viewJournal, viewRouter } from './view.ts'
import { viewSinks } from './view-sinks.ts'

/** So many wait for the one before them, as long as the disk does not give the file. */
const maxApplies = 16

type Outside = Exclude<keyof Troubles, 'config'>
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** The daemon: every router's queue, the journal and the host, wired together. */
export class Agent {
  readonly journal: Journal
  readonly host: Host
  /** What notifiers outside say; the state-change server hands it over. */
  readonly claims: Claims
  readonly #parts: AgentParts
  /** Those who serve sockets for the agent write there too. */
  readonly recorder: Recorder
  readonly routers: RouterSet
  readonly #started: Instant
  readonly #config: ConfigInForce
  #raised: Raised = new Map()
  readonly #outside: Partial<Pick<Mutable<Troubles>, Outside>> = {}
  #reporting: Pick<Reporting, 'status'> | undefined
  readonly #applying = pLimit(1)
  #stopped = false
  #stopReconciling: () => void = () => undefined
  readonly #ignoreJournal: () => void

  constructor(parts: AgentParts) {
    this.#parts = parts
    this.recorder = new Recorder(parts)
    this.#config = new ConfigInForce(parts.config, parts.start?.why)
    this.journal = parts.journal
    this.#started = parts.clock()
    this.host = parts.makeHost((event) => {
      this.routers.tell(event)
    })
    const executors = makeExecutors({ host: this.host, clock: parts.clock, recorder: this.recorder })
    this.routers = new RouterSet(executors, {
      clock: parts.clock,
      recorded: (id) => recordedRole(parts.journal.newest.get(id), parts.boot),
      news: (id) => this.recorder.newsOf(id),
      onDefect: (id, error) => {
        parts.chronicle.defect(id, error)
      },
      onAdded: (queue) => {
        this.claims.appeared(queue)
      },
      onEnded: (queue) => {
        executors.inspect({ type: 'inspect', depth: 'all' }, queue)
      },
    })
    this.claims = new Claims({
      journal: parts.journal,
      recorder: this.recorder,
      executables: parts.executables,
      clock: parts.clock,
      boot: parts.boot,
      queueOf: (id) => this.routers.get(id),
      queues: () => this.routers.queues,
      lookAtKernel: (queue) => {
        executors['recheck-kernel']({ type: 'recheck-kernel' }, queue)
      },
      intervalMs: () => this.config.stateChange.claimInterval,
    })
    this.#ignoreJournal = parts.journal.onStatus(() => {
      this.#reviewConditions()
    })
  }

  /** Adopt what runs, make what is wanted, remove what is ours and wanted no more. Moves no address by itself. */
  async start(): Promise<void> {
    const { config, version, privileges, start = { from: 'copy' } } = this.#parts
    const { routers } = config.config
    this.recorder.agentStarted(version, config, privileges)
    if (start.from !== 'copy' && (start.from !== 'file' || this.journal.epoch.start > 1))
      this.recorder.configTakenAtStart(config, start)
    await this.host.configure({ ...tableOf(config), again: start.from === 'copy' })
    this.#noteKept()
    const owned = await this.host.perform({ verb: 'list-owned' })
    const wanted = new Map(routers.map((spec) => [spec.id, spec.namespace]))
    const orphans = owned.filter(({ router, namespace }) => wanted.get(router) !== namespace)
    this.routers.want(
      routers.filter((spec) => !orphans.some(({ router }) => router === spec.id)),
      orphans.map(({ router }) => router),
    )
    // A router that moved to another namespace while we were away: its old self goes first.
    if (orphans.length > 0) this.routers.want(routers)
    // In the background: a disk that does not answer must not keep an agent from starting.
    this.claims.restore(routers.map(({ id }) => id)).catch((error: unknown) => {
      if (!this.#stopped) this.#parts.chronicle.claimsNotRestored(error)
    })
    this.#recheckAll()
    this.#reconcile()
    this.#reviewConditions()
  }

  get config(): AgentConfig {
    return this.#config.loaded.config
  }

  get figures() {
    return this.routers.figures
  }

  status(): AgentStatus {
    const { clock, boot, version, journal } = this.#parts
    const now = clock()
    const routers = this.routers.queues.map(({ router }) =>
      viewRouter(router, this.recorder.isRecorded(router.id), now),
    )
    const conditions = viewConditions(this.#compareConditions(now).raised)
    return {
      agent: {
        id: this.config.agent.id,
        version,
        pid: process.pid,
        startedMs: this.#started.wallMs,
        boot,
        journal: journal.epoch.journal,
        start: journal.epoch.start,
        configDigest: this.#config.loaded.hash,
      },
      asOfMs: now.wallMs,
      health: overallHealth(conditions, routers),
      conditions,
      journal: viewJournal(journal.status),
      routers,
      sinks: viewSinks(this.#reporting?.status ?? []),
      claims: viewClaims(
        this.claims.view(now),
        this.routers.queues.map(({ router }) => router),
        this.config.stateChange.claimInterval,
        now,
      ),
    }
  }

  /** The evidence behind a router's role. Throws `router-unknown`. */
  async explain(text: string): Promise<Explanation> {
    const id = parseRouterId(text)
    const queue = id === undefined ? undefined : this.routers.get(id)
    if (queue === undefined) {
      const known = this.routers.queues.map((one) => one.id).join(', ')
      throw new KeepwardError(
        'router-unknown',
        `There is no router ${text}; this agent runs ${known === '' ? 'none' : known}`,
      )
    }
    const now = this.#parts.clock()
    const last = await this.journal.read({ router: queue.id, limit: 10, newestFirst: true })
    const status = viewRouter(queue.router, this.recorder.isRecorded(queue.id), now)
    return { status, ...explainRouter(queue.router, this.config.stateChange.claimInterval, now), last }
  }

  /** What applying the config file would do now, without doing any of it; what apply refuses, it refuses too. */
  async plan(): Promise<PlanAnswer> {
    const loaded = await (await this.#parts.readConfig()).load(this.#config.loaded)
    const preview = await previewConfig(loaded, this.host, this.routers.queues, this.#parts.clock())
    return { ...preview, ...this.#compareSections(loaded) }
  }

  /**
   * Read the config file again and take it over; what it wants is reached in the background, shown by `status`. A config
   * with an error, or with rules that cannot be put in force, changes nothing and stays a condition until one is accepted, or the file is what runs again.
   */
  apply(applicant?: Applicant): Promise<ApplyAnswer> {
    // One after the other, so that none puts an older reading over a newer one.
    if (this.#applying.pendingCount < maxApplies) return this.#applying(() => this.#apply(applicant))
    return Promise.reject(new KeepwardError('request-invalid', 'Too many wait for the config file to be applied'))
  }

  /** What it says of its sinks is asked there. */
  reportBy(reporting: Pick<Reporting, 'status'>): void {
    this.#reporting = reporting
  }

  /** What the config file is now. Answers whether it is another one than at the last look, and not what runs. */
  noteConfigFile(file: FileSeen): boolean {
    const news = this.#config.see(file)
    this.#reviewConditions()
    return news && this.#config.differs
  }

  /** The config file is not what runs, as far as was seen. */
  get configDiffers(): boolean {
    return this.#config.differs
  }

  /** Something that the agent needs, or works for, is in trouble; undefined: no more. */
  noteTrouble<Where extends Outside>(where: Where, what: Troubles[Where]): void {
    this.#outside[where] = what
    if (!this.#stopped) this.#reviewConditions()
  }

  async #apply(applicant: Applicant | undefined): Promise<ApplyAnswer> {
    const file = await lookAtFile(this.#parts.readConfig)
    this.#config.see(file)
    try {
      if (file.kind === 'unreadable') throw file.error
      const loaded = await file.file.load(this.#config.loaded)
      const sections = this.#compareSections(loaded)
      await this.recorder.configApplying(loaded, applicant)
      await this.host.stage(tableOf(loaded))
      await this.host.configure(tableOf(loaded))
      this.#config.take(withIdentityOf(this.config, loaded))
      this.#reconcile()
      const change = this.routers.want(loaded.config.routers)
      this.recorder.configLoaded(loaded, applicant, { ...change, ...sections })
      this.#noteKept()
      this.#recheckAll()
      return { configDigest: loaded.hash, ...change, ...sections }
    } catch (error) {
      const refused =
        error instanceof KeepwardError
          ? error
          : new KeepwardError('internal', 'The config cannot be applied', { cause: error })
      this.#config.refuse(refused)
      this.recorder.configRefused(refused, applicant, hashOf(file))
      throw refused
    } finally {
      this.#reviewConditions()
    }
  }

  /** Stop looking; keepalived runs on. The journal stays open: it is the caller's. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopReconciling()
    await this.claims.settled()
    this.recorder.agentStopped()
    this.routers.close()
    await this.#parts.beforeHostCloses?.()
    // A journal that closes takes no record of its own troubles.
    this.#ignoreJournal()
    await this.host.close()
  }

  /** Remove everything that was made for any router. Throws `host-failed` when something is left after 60 s. */
  async teardown(): Promise<void> {
    this.recorder.teardown(this.#parts.privileges)
    await this.host.configure('nothing')
    this.routers.want([])
    await untilGone(this.routers, this.#parts.clock)
  }

  #compareSections({ config }: TrustedConfig): SectionChange {
    return compareSections(this.#parts.config.config, this.config, config)
  }

  #noteKept(): void {
    void this.#parts.keptDigest?.().then((hash) => {
      this.#config.noteKept(hash)
      if (!this.#stopped) this.#reviewConditions()
    })
  }

  #recheckAll(): void {
    for (const queue of this.routers.queues) void queue.attempt(() => this.host.recheck(queue.id))
  }

  #reconcile(): void {
    this.#stopReconciling()
    this.#stopReconciling = startReconciling(this.host, this.routers, this.config.reconcile.intervalMs)
  }

  #reviewConditions(): void {
    const { raised, changes } = this.#compareConditions(this.#parts.clock())
    this.#raised = raised
    for (const change of changes) this.recorder.conditionChanged(undefined, change)
  }

  #compareConditions(now: Instant): ReturnType<typeof compareConditions> {
    const troubles = { config: this.#config.conditions(), ...this.#outside }
    return compareConditions(this.#raised, ownConditions(this.journal.status, troubles), now)
  }
}
