import { describeError } from '../base/error.ts'
import { addVeth, linkByName, setLink } from '../linux/link.ts'
import { openNetlink, type NetlinkSocket } from '../linux/netlink-socket.ts'
import { deleteNamespace, openNamespace, type Namespace } from '../linux/netns.ts'
import { createScratch } from '../linux/scratch.ts'

/** A namespace to try things in: nothing of the host is touched. */
export interface Scratch {
  readonly namespace: Namespace
  readonly socket: NetlinkSocket
  /** Index of one end of a veth pair, made at the first call; throws when the kernel makes none. */
  readonly link: () => number
}

export type ScratchOutcome =
  { readonly kind: 'made'; readonly scratch: Scratch } | { readonly kind: 'none'; readonly reason: string }

/**
 * Calls `work` with a new namespace and removes it afterwards, whatever became of the work; also those of a doctor that
 * was killed. SIGINT and SIGTERM wait until then.
 */
export async function withScratch<T>(wanted: boolean, work: (outcome: ScratchOutcome) => Promise<T>): Promise<T> {
  if (!wanted) return work({ kind: 'none', reason: 'needs root' })
  const told = new Set<NodeJS.Signals>()
  const hold = (signal: NodeJS.Signals) => void told.add(signal)
  for (const signal of signals) process.on(signal, hold)
  try {
    return await inScratch(work)
  } finally {
    for (const signal of signals) process.off(signal, hold)
    for (const signal of told) process.kill(process.pid, signal)
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const prefix = 'keepward-doctor-'

async function inScratch<T>(work: (outcome: ScratchOutcome) => Promise<T>): Promise<T> {
  let outcome: ScratchOutcome
  let name: string | undefined
  try {
    name = await createScratch(prefix)
    outcome = { kind: 'made', scratch: open(name) }
  } catch (error) {
    outcome = { kind: 'none', reason: describeError(error) }
  }
  try {
    return await work(outcome)
  } finally {
    if (outcome.kind === 'made') {
      outcome.scratch.socket.close()
      outcome.scratch.namespace.close()
    }
    if (name !== undefined) await deleteNamespace(name)
  }
}

function open(name: string): Scratch {
  const namespace = openNamespace(name)
  try {
    const socket = openNetlink(namespace.fd)
    let index: number | undefined
    return { namespace, socket, link: () => (index ??= makePair(socket, namespace.fd)) }
  } catch (error) {
    namespace.close()
    throw error
  }
}

/** Both ends in the namespace of the socket; the second comes up later, since the kernel takes no pair that is made up. */
function makePair(socket: NetlinkSocket, namespaceFd: number): number {
  socket.apply([addVeth({ outer: { name: 'try0' }, inner: { name: 'try1' }, namespaceFd })])
  socket.apply([setLink('try0', { up: true }), setLink('try1', { up: true })])
  return linkByName(socket, 'try0').ifindex
}
