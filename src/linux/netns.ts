import { closeSync, constants, fstatSync, openSync, readdirSync, statSync } from 'node:fs'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import type { NetlinkSocket } from './netlink-socket.ts'
import { namespaceIdPayload, readNamespaceId, RTM_GETNSID, RTM_NEWNSID } from './rtnetlink.ts'
import { run } from './run.ts'

/** Where iproute2 keeps named network namespaces (ip-netns(8)). */
export const namespaceDirectory = '/run/netns'

export const namespaceNameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** A named network namespace, held open. While it is held the kernel keeps it, even when its name is removed. */
export interface Namespace extends Disposable {
  readonly name: string
  readonly fd: number
  /** Tells this namespace from any other of this boot that still exists. */
  readonly inode: number
  close(): void
}

/** Makes a named namespace. Throws `command-failed` when the name is taken. */
export async function createNamespace(name: string): Promise<void> {
  await run(['ip', 'netns', 'add', checkedName(name)])
}

/** Gives the network namespace of a process a name again (ip-netns(8), attach). Throws `command-failed`. */
export async function attachNamespace(name: string, pid: number): Promise<void> {
  await run(['ip', 'netns', 'attach', checkedName(name), String(pid)])
}

/**
 * Makes many by one command, at a seventh of the cost each. Throws `command-failed`, naming the line, at the first that
 * cannot be made; those before it stay.
 */
export async function createNamespaces(names: readonly string[]): Promise<void> {
  const lines = names.map((name) => `netns add ${checkedName(name)}\n`)
  if (lines.length > 0) await run(['ip', '-batch', '-'], { stdin: lines.join(''), timeoutMs: 60_000 })
}

/** Removes the name; the namespace ends with its last process, socket and holder. Already gone is fine. */
export async function deleteNamespace(name: string): Promise<void> {
  try {
    await run(['ip', 'netns', 'delete', checkedName(name)])
  } catch (error) {
    if (listNamespaces().includes(name)) throw error
  }
}

/** The names of all named namespaces, ours and others'. */
export function listNamespaces(): string[] {
  try {
    return readdirSync(namespaceDirectory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw new KeepwardError('namespace-failed', `Cannot list ${namespaceDirectory}`, { cause: error })
  }
}

/** Opens a named namespace. Throws `namespace-missing`, or `namespace-failed` when the file is none. */
export function openNamespace(name: string): Namespace {
  return hold(`${namespaceDirectory}/${checkedName(name)}`, name, constants.O_NOFOLLOW)
}

/** Opens the network namespace that a process lives in. Throws `namespace-missing` when it has ended. */
export function openNamespaceOf(pid: number): Namespace {
  return hold(`/proc/${pid}/ns/net`, `of process ${pid}`, 0)
}

function hold(path: string, name: string, flags: number): Namespace {
  const fd = openFile(path, name, flags)
  const { ino, dev } = fstatSync(fd)
  // A name whose mount is gone is an empty file of the tmpfs below.
  if (dev !== nsfsDevice()) {
    closeSync(fd)
    throw new KeepwardError('namespace-failed', `${path} is no network namespace`, { hint: `ip netns delete ${name}` })
  }
  let open = true
  const close = () => {
    if (open) closeSync(fd)
    open = false
  }
  return { name, fd, inode: ino, close, [Symbol.dispose]: close }
}

/** The inode behind a name, without holding it: undefined when there is no such namespace. */
export function namespaceInode(name: string): number | undefined {
  try {
    const found = statSync(`${namespaceDirectory}/${checkedName(name)}`, { throwIfNoEntry: false })
    return found?.dev === nsfsDevice() ? found.ino : undefined
  } catch (error) {
    throw new KeepwardError(codeOf(error, 'namespace-failed'), `Cannot look at network namespace ${name}`, {
      cause: error,
    })
  }
}

/**
 * The id by which the socket's namespace knows that of `namespaceFd`; given one when it has none, since a namespace
 * without an id is silent on an all-namespace socket. Ids are never read from `ip netns list-id`, which leaves most out.
 */
export function namespaceId(socket: NetlinkSocket, namespaceFd: number): number {
  const existing = readId(socket, namespaceFd)
  if (existing >= 0) return existing
  const payload = namespaceIdPayload(namespaceFd, -1)
  // Another process, such as `ip netns`, may be quicker.
  socket.apply([{ says: 'give a namespace an id', type: RTM_NEWNSID, payload, tolerate: ['EEXIST'] }])
  const given = readId(socket, namespaceFd)
  if (given >= 0) return given
  throw new KeepwardError('namespace-failed', 'The kernel gave a network namespace no id')
}

/** The kernel mounts it once, for itself: its number stays. */
const nsfsDevice = (): number => (knownNsfsDevice ??= statSync('/proc/self/ns/net').dev)
let knownNsfsDevice: number | undefined

function readId(socket: NetlinkSocket, namespaceFd: number): number {
  const payload = namespaceIdPayload(namespaceFd)
  const answers = socket.apply([{ says: "ask for a namespace's id", type: RTM_GETNSID, payload }])
  return answers.map(readNamespaceId)[0] ?? -1
}

function openFile(path: string, name: string, flags: number): number {
  try {
    return openSync(path, constants.O_RDONLY | flags)
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT')
      throw new KeepwardError('namespace-missing', `There is no network namespace ${name}`)
    throw new KeepwardError(codeOf(cause, 'namespace-failed'), `Cannot open network namespace ${name}`, { cause })
  }
}

function checkedName(name: string): string {
  if (namespaceNameForm.test(name)) return name
  throw new KeepwardError(
    'namespace-failed',
    `"${name}" is no namespace name; wanted A-Z a-z 0-9 . _ - after a letter or digit`,
  )
}
