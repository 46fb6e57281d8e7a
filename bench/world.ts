import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentStatus } from '../src/agent/api.ts'
import { KeepwardError } from '../src/base/error.ts'
import { callAt } from '../src/cli/client.ts'
import { buildFabric, setPort, type LabLink } from '../src/lab/fabric.ts'
import { downLab } from '../src/lab/lab.ts'
import { agentOf, rootHalfOf, signalAll, startAgent, writeHost } from '../src/lab/processes.ts'
import { hostsOf, routerNamespace, type LabHost, type LabShape } from '../src/lab/topology.ts'
import { listNamespaces } from '../src/linux/netns.ts'
import { openProcess } from '../src/linux/process.ts'
import { keepalivedUnder } from './cost.ts'
import { copyProgram, withCollector } from './program.ts'
import { configText, type RouterPlan } from './routers.ts'
import { until } from './until.ts'

export interface WorldShape {
  readonly hosts: number
  /** As in the config: `1s`, `100ms`. */
  readonly advertisementInterval: string
  readonly vrrpVersion: 2 | 3
  /** The agent collects its garbage when told. */
  readonly collecting?: boolean
  /** The user of agents that have keepward-host do what needs root; else one process does it all. */
  readonly agentUid?: number
  /** The section `sinks` of the config, as lines. */
  readonly sinks?: readonly string[]
  /** Routers have all services that follow the role. */
  readonly services?: boolean
}

/** One simulated host of a world, with its agent. */
export interface WorldHost {
  readonly lab: LabHost
  readonly index: number
  /** Of one agent on the whole machine: what bears its mark in the kernel belongs to it, in whichever world. */
  readonly agent: string
  /** Below it lie keepalived's files. */
  readonly runDirectory: string
  /** The agent's own in it. */
  readonly run: string
  readonly socket: string
}

/** Hosts made of namespaces, as in the lab, with real agents and real keepalived; its journals lie on a disk. */
export class World {
  readonly name: string
  readonly directory: string
  readonly hosts: readonly WorldHost[]
  readonly shape: WorldShape
  readonly #lab: LabShape
  readonly program: string

  private constructor(name: string, shape: WorldShape, program: string) {
    this.name = name
    this.shape = shape
    this.program = program
    this.directory = directoryOf(name)
    this.#lab = { ...shape, name, routers: 1, directory: this.directory }
    this.hosts = hostsOf(this.#lab).map((lab, index) => {
      const runDirectory = join(runDirectoryOf(name), lab.name)
      const run = shape.agentUid === undefined ? runDirectory : join(runDirectory, 'agent')
      return { lab, index, agent: `${name}-${lab.name}`, runDirectory, run, socket: join(run, 'control.sock') }
    })
  }

  static async make(name: string, shape: WorldShape): Promise<World> {
    for (const directory of [directoryOf(name), runDirectoryOf(name)])
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    const copied = copyProgram(join(directoryOf(name), 'program'))
    const program = shape.collecting === true ? withCollector(copied, directoryOf(name)) : copied
    const world = new World(name, shape, program)
    await buildFabric(world.#lab)
    return world
  }

  /** Write the config of a host for so many routers. */
  configure(host: WorldHost, routers: number): void {
    const plans = Array.from({ length: routers }, (_, index) => this.plan(host, index + 1))
    const { lab, agent, runDirectory, run } = host
    const uid = this.shape.agentUid
    const split = uid === undefined ? {} : { split: { uid, host: join(runDirectory, 'host') } }
    writeHost(
      lab,
      configText({ agent, state: join(lab.directory, 'state'), run, ...split, sinks: this.shape.sinks }, plans),
      uid,
    )
    if (uid === undefined) return
    for (const above of [runDirectoryOf(this.name), runDirectory]) {
      mkdirSync(above, { recursive: true })
      chmodSync(above, 0o711)
    }
    mkdirSync(run, { mode: 0o700 })
    chownSync(run, uid, uid)
  }

  /** The pids of the agent, and of its root half where that is another process. */
  pids(host: WorldHost): readonly number[] {
    const root = rootHalfOf(host.lab)
    return root === undefined ? [this.agentPid(host)] : [this.agentPid(host), root]
  }

  plan({ index, lab }: WorldHost, n: number): RouterPlan {
    const { hosts, advertisementInterval, vrrpVersion } = this.shape
    const namespace = routerNamespace(this.name, lab.name, `r${n}`)
    const services = this.shape.services === true
    const steady = this.shape.sinks !== undefined
    return { n, namespace, host: index, hosts, advertisementInterval, vrrpVersion, services, steady }
  }

  /** Returns the pid. */
  start(host: WorldHost): number {
    return startAgent(host.lab, this.program, this.shape.agentUid)
  }

  agentPid(host: WorldHost): number {
    const pid = agentOf(host.lab)
    if (pid === undefined) throw new KeepwardError('lab-failed', `No agent runs on ${host.lab.name}`)
    return pid
  }

  /** End the agent without a word to anybody; keepalived runs on. */
  async killAgent(host: WorldHost): Promise<void> {
    await signalAll([this.agentPid(host)], 'SIGKILL')
  }

  status(host: WorldHost): Promise<AgentStatus> {
    return callAt<AgentStatus>(host.socket, 'GET', '/v1/status')
  }

  /**
   * Wait until every router of a host has a role of those wanted; returns the last look. The agent is asked only once
   * keepalived runs everywhere, and seldom: an answer costs it processor time, which may be what is measured.
   */
  async settle(host: WorldHost, routers: number, wanted: readonly string[]): Promise<AgentStatus> {
    let last: AgentStatus | undefined
    const settled = async () => {
      if (keepalivedUnder(host.runDirectory).length < 2 * routers) return false
      last = await this.status(host).catch(() => undefined)
      return (
        last?.routers.length === routers &&
        last.routers.every(({ role, recorded }) => recorded && wanted.includes(role))
      )
    }
    await until(`${routers} routers on ${host.lab.name} are ${wanted.join(' or ')}`, settleMs, settled, 500)
    if (last === undefined) throw new KeepwardError('lab-failed', `The agent of ${host.lab.name} does not answer`)
    return last
  }

  setPort(host: WorldHost, link: LabLink, up: boolean): void {
    setPort(this.name, host.lab.name, link, up)
  }
}

const settleMs = 120_000

let made = 0
const standing = new Set<string>()
const prefix = 'bench'

/** Make a world, use it, and leave nothing of it behind, whatever happens. */
export async function withWorld<T>(shape: WorldShape, use: (world: World) => Promise<T>): Promise<T> {
  const name = `${prefix}${process.pid}${String.fromCharCode(97 + (made++ % 26))}`
  standing.add(name)
  try {
    return await use(await World.make(name, shape))
  } finally {
    await remove(name)
    standing.delete(name)
  }
}

/** One host whose routers, once started, stay backups for minutes: none takes over before three adverts, 40 s apart, are missing. */
export async function withQuietHost<T>(
  {
    routers,
    ...shape
  }: Pick<WorldShape, 'collecting' | 'agentUid' | 'services' | 'sinks'> & { readonly routers: number },
  use: (world: World, host: WorldHost) => Promise<T>,
): Promise<T> {
  return withWorld({ ...shape, hosts: 1, advertisementInterval: '40s', vrrpVersion: 3 }, async (world) => {
    const [host] = world.hosts
    if (host === undefined) throw new Error('a world has a host')
    world.configure(host, routers)
    return use(world, host)
  })
}

/** Remove every world of this process: for the moment a signal ends it. */
export async function removeStanding(): Promise<void> {
  for (const name of standing) await remove(name)
}

/** Remove what benches left that were killed without a chance to do it themselves. */
export async function removeLeftovers(): Promise<void> {
  const named = [
    ...listNamespaces().map((namespace) => /^kwl-(bench\d+[a-z])-/.exec(namespace)?.[1]),
    ...[stateRoot, '/dev/shm']
      .flatMap((root) => readdirSync(root))
      .map((entry) => /^keepward-(bench\d+[a-z])$/.exec(entry)?.[1]),
  ]
  for (const name of new Set(named)) {
    const pid = Number(/\d+/.exec(name ?? '')?.[0] ?? NaN)
    if (name !== undefined && !isRunning(pid)) await remove(name)
  }
}

/** A real disk on most machines, unlike /tmp and /run. */
export const stateRoot = '/var/tmp'
const directoryOf = (name: string): string => join(stateRoot, `keepward-${name}`)
/** What need not survive a reboot lies in memory, as /run does under every service manager, even where /run here does not. */
const runDirectoryOf = (name: string): string => `/dev/shm/keepward-${name}`

async function remove(name: string): Promise<void> {
  await downLab(name, directoryOf(name))
  rmSync(runDirectoryOf(name), { recursive: true, force: true })
}

function isRunning(pid: number): boolean {
  using handle = openProcess(pid)
  return handle?.alive() === true
}
