import { spawn } from 'node:child_process'
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { inNamespace } from '../linux/in-namespace.ts'
import { namespaceInode, openNamespace } from '../linux/netns.ts'
import { commandLine, networkNamespaceOf, openProcess, processStat } from '../linux/process.ts'
import { cleanEnvironment } from '../linux/run.ts'
import type { LabHost } from './topology.ts'

const endMs = 5000

/** Start the real agent of a host in its namespace, and its root half where it is another user's; they outlive us. */
export function startAgent(host: LabHost, program: string, uid: number | undefined): number {
  if (uid !== undefined) startRootHalf(host, program)
  return start(host, program, 'agent', uid === undefined ? {} : { uid, gid: uid })
}

/** Those of its unit (deploy/systemd): what a lab runs is what a host runs. */
export const hostCapabilities = [
  ...['sys_admin', 'net_admin', 'net_raw', 'net_broadcast', 'chown', 'kill', 'sys_ptrace', 'sys_nice', 'ipc_lock'],
  ...['sys_resource', 'setuid', 'setgid'],
]

/** setpriv(1) */
const boundedBy = (capabilities: readonly string[]): string[] => [
  'setpriv',
  '--bounding-set',
  ['-all', ...capabilities.map((name) => `+${name}`)].join(),
]

/** Running already is fine. */
export function startRootHalf(host: LabHost, program: string): void {
  if (rootHalfOf(host) === undefined) start(host, program, 'host', {})
}

/** Its output goes to the host's log. */
function start(
  host: LabHost,
  program: string,
  command: 'agent' | 'host',
  user: { readonly uid?: number; readonly gid?: number },
): number {
  using namespace = openNamespace(host.namespace)
  const words = [program, '--config', host.config, command]
  const [file = '', ...args] = command === 'host' ? [...boundedBy(hostCapabilities), ...words] : words
  const log = openSync(host.log, 'a', 0o600)
  try {
    const child = inNamespace(namespace.fd, () =>
      spawn(file, args, { detached: true, stdio: ['ignore', log, log], env: cleanEnvironment, cwd: '/', ...user }),
    )
    if (child.pid === undefined) throw new KeepwardError('lab-failed', `Cannot start the ${command} of ${host.name}`)
    child.unref()
    return child.pid
  } finally {
    closeSync(log)
  }
}

/** Write a host's directories and config, for root alone unless its agent is another user's. */
export function writeHost(host: LabHost, config: string, uid: number | undefined): void {
  mkdirSync(host.directory, { recursive: true, mode: 0o700 })
  writeFileSync(host.config, config, { mode: 0o600 })
  if (uid === undefined) return
  for (const above of [host.directory, dirname(host.directory)]) chmodSync(above, 0o711)
  chmodSync(host.config, 0o644)
  for (const name of ['state', 'run']) {
    mkdirSync(join(host.directory, name), { mode: 0o700 })
    chownSync(join(host.directory, name), uid, uid)
  }
}

/** The pid of a host's agent; undefined when none runs. */
export function agentOf(host: LabHost): number | undefined {
  return processOf(host, isAgent)
}

/** The pid of a host's keepward-host; undefined when none runs. */
export function rootHalfOf(host: LabHost): number | undefined {
  return processOf(host, isRootHalf)
}

/**
 * By the config that it was started with, not by its namespace: it is in that of a router for moments. What it is just starting bears
 * its arguments until it has its own.
 */
function processOf(host: LabHost, is: typeof isAgent): number | undefined {
  const pids = processesOf(host.directory)
    .filter(is)
    .map(({ pid }) => pid)
  return pids.find((pid) => !pids.includes(processStat(pid)?.parentPid ?? 0))
}

/** The processes in a namespace, by what the kernel says of each, never by name alone. */
export function processesIn(
  namespaces: readonly string[],
): { readonly pid: number; readonly argv: readonly string[] }[] {
  const inodes = new Set(namespaces.map(namespaceInode).filter((inode) => inode !== undefined))
  return pids().flatMap((pid) => {
    const inode = namespaceOf(pid)
    return inode !== undefined && inodes.has(inode) ? [{ pid, argv: commandLine(pid) ?? [] }] : []
  })
}

/** Agents and keepalived processes of a lab by its directory, wherever they live: a namespace may have lost its name. */
export function processesOf(directory: string): ReturnType<typeof processesIn> {
  return pids()
    .map((pid) => ({ pid, argv: commandLine(pid) ?? [] }))
    .filter((one) => isAgent(one) || isRootHalf(one) || isKeepalived(one))
    .filter(({ argv }) => argv.some((word) => word.startsWith(`${directory}/`)))
}

export const isAgent = ({ argv }: { readonly argv: readonly string[] }): boolean => argv.at(-1) === 'agent'
export const isRootHalf = ({ argv }: { readonly argv: readonly string[] }): boolean => argv.at(-1) === 'host'
export const isKeepalived = ({ argv }: { readonly argv: readonly string[] }): boolean => argv[0] === 'keepalived'

/** Send a signal to each, parents first; a SIGKILL is waited for. */
export async function signalAll(pids: readonly number[], signal: NodeJS.Signals): Promise<void> {
  const handles = pids.map(openProcess).filter((handle) => handle !== undefined)
  for (const handle of handles) handle.signal(signal)
  if (signal === 'SIGKILL' || signal === 'SIGTERM') {
    const ended = await Promise.all(handles.map((handle) => handle.ended(endMs)))
    const left = handles.filter((_, index) => ended[index] !== true).map((handle) => handle.pid)
    if (left.length > 0) throw new KeepwardError('lab-failed', `Processes outlive ${signal}: ${left.join(', ')}`)
  }
  for (const handle of handles) handle.close()
}

/** A process that even root may not look into is none of the lab's. */
function namespaceOf(pid: number): number | undefined {
  try {
    return networkNamespaceOf(pid)
  } catch (error) {
    if (error instanceof KeepwardError && error.code === 'permission-denied') return undefined
    throw error
  }
}

function pids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}
