import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent } from '../../src/agent/agent.ts'
import type { RouterStatus } from '../../src/agent/api.ts'
import { controlSocketName, startControl } from '../../src/agent/control/server.ts'
import type { Policy } from '../../src/agent/control/permission.ts'
import type { Chronicle } from '../../src/agent/events.ts'
import { Executables } from '../../src/agent/executables.ts'
import { makeLogger } from '../../src/agent/log.ts'
import { makeMetrics } from '../../src/agent/metrics.ts'
import type { AgentConfig } from '../../src/config/agent-config.ts'
import type { LoadedConfig } from '../../src/config/read.ts'
import type { ConfigFile, TrustedConfig } from '../../src/config/trusted.ts'
import { stateChangeSchema } from '../../src/config/state-change-schema.ts'
import { openJournal, type Journal } from '../../src/journal/journal.ts'
import type { JournalRecord, JsonValue } from '../../src/journal/record.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { until } from './until.ts'
import { World } from './world.ts'

export interface AgentChoices {
  readonly world?: World
  /** Where the state of an earlier agent lies. */
  readonly stateOf?: TestAgent
  readonly routers?: readonly RouterSpec[]
  readonly intervalMs?: number
  readonly boot?: string
  readonly policy?: Partial<Policy>
  readonly metricsPort?: number
  /** How it is started; by itself unless given. */
  readonly begin?: (agent: Agent) => Promise<void>
}

/** What the agent told its log, one line each. */
export type Told =
  | {
      readonly what: 'role'
      readonly router: string
      readonly to: string
      readonly late: boolean
      readonly afterMs: number
    }
  | { readonly what: 'condition'; readonly router: string | undefined; readonly code: string; readonly change: string }
  | { readonly what: 'defect'; readonly router: string; readonly error: unknown }

/** A whole agent in this process: real journal, real control socket, a world in memory in the place of root. */
export class TestAgent implements AsyncDisposable {
  readonly world: World
  readonly directory: string
  readonly agent: Agent
  readonly journal: Journal
  readonly told: Told[]
  /** Lines of the control API in the agent's log. */
  readonly log: readonly string[]
  /** What the config file holds from now on; an error is thrown by what reads it. */
  file: LoadedConfig | ConfigFile | (() => ConfigFile) | Error
  readonly #stopControl: () => Promise<void>
  #stopped = false

  private constructor(parts: {
    world: World
    directory: string
    agent: Agent
    journal: Journal
    told: Told[]
    log: readonly string[]
    file: LoadedConfig
    stopControl: () => Promise<void>
  }) {
    this.world = parts.world
    this.directory = parts.directory
    this.agent = parts.agent
    this.journal = parts.journal
    this.told = parts.told
    this.log = parts.log
    this.file = parts.file
    this.#stopControl = parts.stopControl
  }

  static async start(choices: AgentChoices = {}): Promise<TestAgent> {
    const directory = mkdtempSync(join(tmpdir(), 'kwt-agent-'))
    const paths = {
      state: join(directory, 'state'),
      run: join(directory, 'run'),
      host: join(directory, 'host'),
      anchors: join(directory, 'anchors'),
    }
    if (choices.stateOf !== undefined)
      cpSync(join(choices.stateOf.directory, 'state'), paths.state, { recursive: true })
    else mkdirSync(paths.state)
    chmodSync(paths.state, 0o700)
    const world = choices.world ?? new World()
    const config = configOf(paths, choices)
    const boot = choices.boot ?? 'boot1'
    const journal = await openJournal({
      dir: SafeDir.open(paths.state),
      name: 'journal.sqlite',
      agent: config.agent.id,
      boot,
      clock: world.clock,
      retain: { days: 30, sizeBytes: 64e6 },
    })
    const told: Told[] = []
    const log: string[] = []
    const metrics = makeMetrics()
    // The callbacks come later than the object that they read.
    const self: { test?: TestAgent } = {}
    const executables = new Executables(() => Promise.resolve(undefined))
    const agent = new Agent({
      executables,
      config: trusted({ config, hash: 'first' }),
      readConfig: () => {
        const file = self.test?.file ?? { config, hash: 'first' }
        return file instanceof Error ? Promise.reject(file) : Promise.resolve(file).then(fileWith)
      },
      makeHost: (emit) => world.attach(emit),
      journal,
      clock: world.clock,
      boot,
      version: '1.2.3',
      privileges: { pid: 77, uid: 60_000, gid: 60_000, capabilities: ['CAP_NET_RAW', 'CAP_BPF'] },
      chronicle: listener(told, world),
      metrics,
    })
    const stopControl = await startControl({
      agent,
      executables,
      metrics,
      log: makeLogger('error', 'host1', { to: { write: (line) => void log.push(line) } }),
      version: '1.2.3',
      dir: SafeDir.open(paths.run, { create: true }),
      policy: { ownUid: process.geteuid?.() ?? 0, readerGid: undefined, ...choices.policy },
      rotateKeys: (graceMs) => Promise.resolve({ untilMs: world.clock().wallMs + graceMs }),
      metricsPort: choices.metricsPort,
    })
    const test = new TestAgent({
      world,
      directory,
      agent,
      journal,
      told,
      log,
      file: { config, hash: 'first' },
      stopControl,
    })
    self.test = test
    await (choices.begin?.(agent) ?? agent.start())
    return test
  }

  get socket(): string {
    return join(this.directory, 'run', controlSocketName)
  }

  /** The config file wants these routers from now on; `apply` takes it over. */
  want(routers: readonly RouterSpec[], change: Partial<AgentConfig> = {}): void {
    this.file = { config: { ...this.agent.config, ...change, routers }, hash: `${String(routers.length)} routers` }
  }

  router(id = 'r1'): RouterStatus {
    const found = this.agent.status().routers.find((one) => one.id === id)
    if (found === undefined) throw new Error(`the agent shows no router ${id}`)
    return found
  }

  /** Wait until the router has that role, and its record is on disk. */
  role(role: RouterStatus['role'], id = 'r1'): Promise<RouterStatus> {
    return until(`${id} is ${role}`, () => {
      const router = this.router(id)
      return router.role === role && router.recorded && router
    })
  }

  /** Wait until the condition is shown (of the agent itself: without `id`); returns its text. */
  condition(code: string, id?: string): Promise<string> {
    return until(`condition ${code} of ${id ?? 'the agent'}`, () => {
      const all = id === undefined ? this.agent.status().conditions : this.router(id).conditions
      return all.find((one) => one.code === code)?.text
    })
  }

  noCondition(code: string, id?: string): Promise<true> {
    return until(`no condition ${code} of ${id ?? 'the agent'}`, () => {
      const all = id === undefined ? this.agent.status().conditions : this.router(id).conditions
      return !all.some((one) => one.code === code)
    })
  }

  /** All durable records, oldest first. */
  async records(query: { router?: string; after?: number } = {}): Promise<JournalRecord[]> {
    await this.agent.claims.settled()
    await until('all records are durable', () => this.journal.status.pending === 0)
    const all: JournalRecord[] = []
    for (let after = query.after ?? 0; ; after = all.at(-1)?.seq ?? after) {
      const page = await this.journal.read({ ...query, after, limit: 1000 })
      all.push(...page)
      if (page.length < 1000) return all
    }
  }

  /** `backup -> primary`, oldest first. */
  async transitions(router = 'r1', after = 0): Promise<string[]> {
    const records = await this.records({ router, after })
    return records
      .filter(({ kind }) => kind === 'transition')
      .map(({ body }) => `${textOf(body['from'])} -> ${textOf(body['to'])}`)
  }

  /** `r1 transition`, oldest first: what was written since, but for starts and stops of the agent and the work on routers. */
  async since(seq: number): Promise<string[]> {
    const records = await this.records({ after: seq })
    const told = records.filter(({ kind }) => kind !== 'agent' && kind !== 'operation')
    return told.map(({ kind, router }) => `${router ?? '-'} ${kind}`)
  }

  get defects(): unknown[] {
    return this.told.flatMap((one) => (one.what === 'defect' ? [one.error] : []))
  }

  /** As SIGTERM does it. */
  async stop(options: { teardown: boolean } = { teardown: false }): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.#stopControl()
    if (options.teardown) await this.agent.teardown()
    await this.agent.stop()
    await this.journal.close(5000)
  }

  /**
   * As SIGKILL does it: from here on nothing of the agent reaches the world or the disk. Gives another agent, on the
   * journal and the world as they were.
   */
  async killAndStart(choices: Omit<AgentChoices, 'world' | 'stateOf'> = {}): Promise<TestAgent> {
    await until('all records are durable', () => this.journal.status.pending === 0)
    this.world.detach()
    const next = await TestAgent.start({ ...choices, world: this.world, stateOf: this })
    await this[Symbol.asyncDispose]()
    return next
  }

  /** An orderly stop and a start on the same journal and world. */
  async restart(choices: Omit<AgentChoices, 'world' | 'stateOf'> = {}, meanwhile: () => unknown = () => undefined) {
    await this.stop()
    this.world.detach()
    await meanwhile()
    const next = await TestAgent.start({ ...choices, world: this.world, stateOf: this })
    await this[Symbol.asyncDispose]()
    return next
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** A value of a record's body, for a sentence. */
export const textOf = (value: JsonValue | undefined): string =>
  typeof value === 'string' ? value : JSON.stringify(value)

const trusted = (loaded: LoadedConfig): TrustedConfig => ({ ...loaded, stamp: loaded.hash, signedBy: undefined })

function fileWith(file: LoadedConfig | ConfigFile | (() => ConfigFile)): ConfigFile {
  if (typeof file === 'function') return file()
  if ('load' in file) return file
  return { hash: file.hash, stamp: file.hash, load: () => Promise.resolve(trusted(file)) }
}

function configOf(paths: AgentConfig['paths'], { routers = [], intervalMs = 200 }: AgentChoices): AgentConfig {
  return {
    agent: { id: 'host1', user: 'keepward' },
    paths,
    control: { group: 'keepward', metricsPort: undefined },
    journal: { retainDays: 30, maxSizeMb: 64 },
    audit: { syslogPort: 514 },
    config: { requireSignature: false, applyChanges: false },
    reconcile: { intervalMs },
    stateChange: stateChangeSchema.parse(undefined),
    sinks: [],
    vault: undefined,
    logging: { level: 'error', routerIds: 'plain' },
    routers,
  }
}

function listener(told: Told[], world: World): Chronicle {
  return {
    roleChanged: (router, { to, at }, _seq, late) => {
      told.push({ what: 'role', router, to, late, afterMs: world.clock().monoMs - at.monoMs })
    },
    conditionChanged: (router, { change, condition }) => {
      told.push({ what: 'condition', router, code: condition.code, change })
    },
    configLoaded: () => undefined,
    reacted: () => undefined,
    hookEnded: () => undefined,
    anchorsNotCopied: () => undefined,
    configRefused: () => undefined,
    claimTaken: () => undefined,
    claimRefused: () => undefined,
    claimsNotRestored: () => undefined,
    keysRotated: () => undefined,
    newJournalSigned: () => undefined,
    defect: (router, error) => {
      told.push({ what: 'defect', router, error })
    },
  }
}
