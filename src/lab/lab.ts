import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { deleteNamespace, listNamespaces } from '../linux/netns.ts'
import { buildFabric, linksOf, setPort, type LabLink } from './fabric.ts'
import {
  agentOf,
  isAgent,
  isKeepalived,
  isRootHalf,
  processesIn,
  processesOf,
  rootHalfOf,
  signalAll,
  startAgent,
  startRootHalf,
  writeHost,
} from './processes.ts'
import { identitiesDirectory } from '../host/identity.ts'
import {
  agentIdOf,
  checkShape,
  configOf,
  hostsOf,
  maxHosts,
  prefixOf,
  routerNamespace,
  routersOf,
  type LabHost,
  type LabRouter,
  type LabShape,
} from './topology.ts'

export const labsDirectory = '/run/keepward-lab'
const shapeFile = 'lab.json'

/**
 * Hosts made of namespaces, each with its own real agent, directories and config, and with real keepalived. A lab is found
 * again by its name alone: what it is lies in its directory, what runs is asked of the kernel.
 */
export class Lab {
  readonly shape: LabShape
  readonly hosts: readonly LabHost[]
  readonly routers: readonly LabRouter[]
  readonly #program: string

  private constructor(shape: LabShape, program: string) {
    this.shape = shape
    this.hosts = hostsOf(shape)
    this.routers = routersOf(shape)
    this.#program = program
  }

  /**
   * Make it and start it. Throws `lab-failed` when one of that name is there. `program`: how to start keepward;
   * `prepare`: what to do once hosts and configs are there and no agent runs yet.
   */
  static async up(shape: LabShape, program: string, prepare?: (lab: Lab) => Promise<void> | void): Promise<Lab> {
    checkShape(shape)
    if (namespacesOf(shape.name).length > 0) {
      throw new KeepwardError('lab-failed', `There is a lab ${shape.name}, or what is left of one`, {
        hint: '`keepward lab down` removes it',
      })
    }
    const lab = new Lab(shape, program)
    mkdirSync(labsDirectory, { recursive: true, mode: 0o711 })
    // The user of its agents must pass.
    if (shape.agentUid !== undefined) chmodSync(labsDirectory, 0o711)
    mkdirSync(shape.directory, { recursive: true, mode: 0o700 })
    writeFileSync(join(shape.directory, shapeFile), JSON.stringify(shape), { mode: 0o600 })
    await buildFabric(shape)
    for (const host of lab.hosts) writeHost(host, configOf(shape, host), shape.agentUid)
    await prepare?.(lab)
    for (const host of lab.hosts) startAgent(host, program, shape.agentUid)
    return lab
  }

  /** Find a lab that is up. Throws `lab-failed`. */
  static find(directory: string, program: string): Lab {
    try {
      return new Lab(checkShape(JSON.parse(readFileSync(join(directory, shapeFile), 'utf8')) as LabShape), program)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      throw new KeepwardError('lab-failed', `There is no lab in ${directory}`, { hint: '`keepward lab up` makes one' })
    }
  }

  host(name: string): LabHost {
    const host = this.hosts.find((one) => one.name === name)
    if (host !== undefined) return host
    throw new KeepwardError(
      'lab-failed',
      `There is no host ${name}; the lab has ${this.hosts.map((one) => one.name).join(', ')}`,
    )
  }

  router(id: string): LabRouter {
    const router = this.routers.find((one) => one.id === id)
    if (router !== undefined) return router
    throw new KeepwardError('lab-failed', `There is no router ${id}; the lab has r1 to r${String(this.routers.length)}`)
  }

  /** The power goes: agent and every keepalived end without a word, the cables are dead, the memory is lost. */
  async killHost(name: string): Promise<void> {
    const host = this.host(name)
    const running = processesIn(this.#namespaces(host))
    this.#setPorts(name, linksOf(this.shape), false)
    await signalAll(inKillingOrder(running), 'SIGKILL')
    for (const namespace of this.#routerNamespaces(host))
      if (listNamespaces().includes(namespace)) await deleteNamespace(namespace)
    rmSync(join(host.directory, 'run'), { recursive: true, force: true })
  }

  /** The host comes back: cables first, then its agent, which makes the rest. */
  startHost(name: string): void {
    this.heal(name)
    this.startAgent(name)
  }

  /** Cut the HA link of a host: its keepalived and the others hear each other no more. */
  cut(name: string): void {
    this.#setPorts(this.host(name).name, ['ha'], false)
  }

  /** Mend every link, or those of one host. */
  heal(name?: string): void {
    for (const host of name === undefined ? this.hosts : [this.host(name)])
      this.#setPorts(host.name, linksOf(this.shape), true)
  }

  /** `child`: only the VRRP child, which keepalived itself replaces. */
  async killKeepalived(hostName: string, routerId: string, only: 'all' | 'child' = 'all'): Promise<void> {
    const pids = this.keepalivedPids(hostName, routerId)
    // Stopped first: a child that outlives its parent for a moment would give the addresses back.
    if (only === 'all') await signalAll(pids.toReversed(), 'SIGSTOP')
    await signalAll(only === 'child' ? pids.slice(1) : pids, 'SIGKILL')
  }

  /** Parent first. */
  keepalivedPids(hostName: string, routerId: string): number[] {
    const namespace = routerNamespace(this.shape.name, this.host(hostName).name, this.router(routerId).id)
    const found = processesIn([namespace]).filter(isKeepalived)
    if (found.length === 0) throw new KeepwardError('lab-failed', `No keepalived of ${routerId} runs on ${hostName}`)
    return found.map(({ pid }) => pid).sort((a, b) => a - b)
  }

  agentPid(hostName: string): number {
    const pid = agentOf(this.host(hostName))
    if (pid === undefined) throw new KeepwardError('lab-failed', `No agent runs on ${hostName}`)
    return pid
  }

  async killAgent(hostName: string): Promise<void> {
    await signalAll([this.agentPid(hostName)], 'SIGKILL')
  }

  /** Of the process that does what needs root. */
  rootHalfPid(hostName: string): number {
    const pid = rootHalfOf(this.host(hostName))
    if (pid === undefined) throw new KeepwardError('lab-failed', `No keepward-host runs on ${hostName}`)
    return pid
  }

  startRootHalf(hostName: string): void {
    startRootHalf(this.host(hostName), this.#program)
  }

  /** Running already is fine. */
  startAgent(hostName: string): void {
    const host = this.host(hostName)
    if (agentOf(host) === undefined) startAgent(host, this.#program, this.shape.agentUid)
  }

  /** Stop a host's agent, or one keepalived on it, for so long (SIGSTOP, then SIGCONT). */
  async pause(hostName: string, routerId: string | undefined, ms: number): Promise<void> {
    const pids = routerId === undefined ? [this.agentPid(hostName)] : this.keepalivedPids(hostName, routerId)
    await signalAll(pids, 'SIGSTOP')
    try {
      await new Promise((resolve) => setTimeout(resolve, ms))
    } finally {
      await signalAll(pids, 'SIGCONT')
    }
  }

  #setPorts(host: string, links: readonly LabLink[], up: boolean): void {
    for (const link of links) setPort(this.shape.name, host, link, up)
  }

  #namespaces(host: LabHost): string[] {
    return [host.namespace, ...this.#routerNamespaces(host)]
  }

  #routerNamespaces(host: LabHost): string[] {
    return this.routers.map((router) => routerNamespace(this.shape.name, host.name, router.id))
  }
}

/** Remove a lab, whole or in ruins: its processes, then its namespaces, then its directory. */
export async function downLab(name: string, directory: string): Promise<{ processes: number; namespaces: number }> {
  const namespaces = namespacesOf(name)
  const ended = await endAll(() => [...processesIn(namespaces), ...processesOf(directory)])
  for (const namespace of namespaces) await deleteNamespace(namespace)
  rmSync(directory, { recursive: true, force: true })
  for (let n = 1; n <= maxHosts; n += 1) {
    rmSync(join(identitiesDirectory, `${agentIdOf(name, `h${String(n)}`)}.lock`), { force: true })
  }
  return { processes: ended, namespaces: namespaces.length }
}

/** What one of them was just starting is seen after its end alone. Returns how many they were. */
async function endAll(look: () => ReturnType<typeof processesIn>): Promise<number> {
  let ended = 0
  for (let round = 0; round < maxRounds; round++) {
    const running = [...new Map(look().map((one) => [one.pid, one])).values()]
    if (running.length === 0) break
    await signalAll(inKillingOrder(running), 'SIGKILL')
    ended += running.length
  }
  return ended
}

const maxRounds = 5

const namespacesOf = (name: string): string[] => listNamespaces().filter((one) => one.startsWith(prefixOf(name)))

/** Agents and their root halves first: they would start keepalived again; then parents before children, for the same reason. */
function inKillingOrder(running: ReturnType<typeof processesIn>): number[] {
  const isOurs = (one: (typeof running)[number]) => isAgent(one) || isRootHalf(one)
  const agents = running.filter(isOurs).map(({ pid }) => pid)
  const rest = running.filter((one) => !isOurs(one)).map(({ pid }) => pid)
  return [...agents, ...rest.sort((a, b) => a - b)]
}
