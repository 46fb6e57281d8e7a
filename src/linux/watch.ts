import { closeSync } from 'node:fs'
import { KeepwardError } from '../base/error.ts'
import { fold, type KernelEvent, type NamespaceView, readEvent, sameView } from './namespace-view.ts'
import { native } from './native.ts'
import { decodeMessages, type Message } from './netlink.ts'
import { kernelCodeOf, type NetlinkSocket, openDescriptor, openNetlink } from './netlink-socket.ts'
import { type Namespace, namespaceId, openNamespace } from './netns.ts'
import {
  addressDump,
  type Link,
  linkDump,
  readNamespaceId,
  RTM_DELNSID,
  RTM_GETADDR,
  RTM_GETLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
  RTNLGRP_NSID,
} from './rtnetlink.ts'

/** Why a view changed: the kernel said so, or looking again found that it had said so unheard. */
export type ChangeCause =
  { readonly kind: 'event'; readonly event: KernelEvent } | { readonly kind: 'overrun' } | { readonly kind: 'resync' }

/** How deep to look: links and addresses, or addresses alone. */
type Depth = 'all' | 'addresses'

/** The callbacks run while the socket is read: they take note and do not call the watch. */
export interface KernelWatchOptions {
  /** The view of a tracked namespace changed, once for each change, in the kernel's order. */
  readonly onChange: (nsid: number, view: NamespaceView, cause: ChangeCause) => void
  /** A tracked namespace ended and is not tracked any more; its id may be given to another. */
  readonly onGone: (nsid: number) => void
  /** The receive buffer overflowed; every tracked namespace has been looked at again since. */
  readonly onOverrun?: (overruns: number) => void
  /** Looking again after an overrun failed; it is tried again each second. */
  readonly onTrouble?: (error: unknown) => void
  /** 64 MiB hold about 20 000 changes while the event loop is busy. */
  readonly receiveBufferBytes?: number
}

/** Sees link and address changes of all tracked namespaces through one socket. */
export interface KernelWatch extends Disposable {
  /** How often the receive buffer has overflowed. */
  readonly overruns: number
  /**
   * Watches a namespace, which is given an id if it has none, and returns the id and what it holds. Subscription comes
   * before snapshot: what changes meanwhile is told after it. Tracking twice is fine. The namespace is not held: it ends
   * when its name and its last process are gone.
   */
  track(namespace: Pick<Namespace, 'name' | 'fd'>): { readonly nsid: number; readonly view: NamespaceView }
  untrack(nsid: number): void
  /** What the namespace holds as of the last event; undefined when it is not tracked. */
  view(nsid: number): NamespaceView | undefined
  /**
   * Asks the kernel again, for addresses alone in a third of the time. Says whether events had been missed, in which case
   * `onChange` has been called. Throws `namespace-missing` when the kernel knows no such namespace any more.
   */
  resync(nsid: number, depth?: Depth): boolean
  close(): void
}

/** Needs CAP_NET_BROADCAST; CAP_NET_ADMIN for the snapshots and the large buffer. */
export function watchKernel(options: KernelWatchOptions): KernelWatch {
  const fd = openDescriptor(groups, true, options.receiveBufferBytes ?? 64 * 1024 * 1024)
  const socket = openNetlink()
  const tracked = new Map<number, { readonly name: string; view: NamespaceView }>()
  /** Events of one namespace that arrive while its snapshot is taken. */
  let recording: { readonly nsid: number; readonly events: KernelEvent[] } | undefined
  let overruns = 0
  let overrunPending = false
  let closed = false

  const hear = (nsid: number, message: Message) => {
    if (nsid === ownNamespace && message.type === RTM_DELNSID) forget(readNamespaceId(message))
    const known = tracked.get(nsid)
    const recorded = recording?.nsid === nsid ? recording.events : undefined
    if (known === undefined && recorded === undefined) return
    const event = readEvent(message)
    if (event === undefined) return
    recorded?.push(event)
    if (known !== undefined) change(nsid, fold(known.view, event), { kind: 'event', event })
  }

  const change = (nsid: number, after: NamespaceView, cause: ChangeCause) => {
    const known = tracked.get(nsid)
    if (known === undefined || known.view === after) return
    known.view = after
    options.onChange(nsid, after, cause)
  }

  const forget = (nsid: number | undefined) => {
    if (nsid !== undefined && tracked.delete(nsid)) options.onGone(nsid)
  }

  const handle = native().watch(fd, (_errno, messages, frames) => {
    if (messages !== null && frames !== null) {
      eachDatagram(messages, frames, hear)
      return
    }
    // ENOBUFS, or a message that did not fit: whatever it was, something was missed.
    overruns++
    if (!overrunPending) setImmediate(recover)
    overrunPending = true
  })

  /**
   * The kernel sends a full socket nothing more until its queue has been emptied, without a second ENOBUFS: all of it is
   * read before looking (`look` drains first). The end of a namespace may be among what was missed, and its id may be
   * another's now: its name must still lead to it.
   */
  const recover = () => {
    overrunPending = false
    if (closed) return
    try {
      lookAtAll()
    } catch (error) {
      // The kernel did not answer (memory, its lock): what is known may be old, so it is asked until it does.
      options.onTrouble?.(error)
      setTimeout(recover, retryMs)
      return
    }
    options.onOverrun?.(overruns)
  }

  const lookAtAll = () => {
    native().drain(handle)
    for (const [nsid, { name }] of [...tracked]) {
      if (!leadsTo(socket, name, nsid) || lookOrMissing(nsid, { kind: 'overrun' }) === 'missing') forget(nsid)
    }
  }

  const lookOrMissing = (nsid: number, cause: ChangeCause): boolean | 'missing' => {
    try {
      return look(nsid, cause)
    } catch (error) {
      if (error instanceof KeepwardError && error.code === 'namespace-missing') return 'missing'
      throw error
    }
  }

  /** Afterwards the view is exact; when it was not before, events had been missed. */
  const look = (nsid: number, cause: ChangeCause, depth: Depth = 'all'): boolean => {
    const after = observe(nsid, depth)
    const known = tracked.get(nsid)
    if (known === undefined || sameView(known.view, after)) return false
    change(nsid, after, cause)
    return true
  }

  /** Drain, record, snapshot, replay. */
  const observe = (nsid: number, depth: Depth = 'all'): NamespaceView => {
    if (recording !== undefined) throw new KeepwardError('internal', 'a callback of the kernel watch called it back')
    native().drain(handle)
    recording = { nsid, events: [] }
    try {
      // Known links are those after the drain: an event that it read must not be undone.
      const knownLinks = depth === 'addresses' ? tracked.get(nsid)?.view.links : undefined
      const snapshot = dumpView(socket, nsid, knownLinks)
      native().drain(handle)
      return recording.events.reduce(fold, snapshot)
    } finally {
      recording = undefined
    }
  }

  const close = () => {
    if (closed) return
    closed = true
    native().unwatch(handle)
    closeSync(fd)
    socket.close()
    tracked.clear()
  }

  return {
    get overruns() {
      return overruns
    },
    track({ name, fd: namespaceFd }) {
      // The end of a namespace that had the id before may still wait to be read.
      native().drain(handle)
      const nsid = namespaceId(socket, namespaceFd)
      const known = tracked.get(nsid)
      const view = known?.view ?? observe(nsid)
      if (known === undefined) tracked.set(nsid, { name, view })
      return { nsid, view }
    },
    untrack: (nsid) => void tracked.delete(nsid),
    view: (nsid) => tracked.get(nsid)?.view,
    resync(nsid, depth = 'all') {
      if (!tracked.has(nsid)) return false
      return look(nsid, { kind: 'resync' }, depth)
    },
    close,
    [Symbol.dispose]: close,
  }
}

const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID]
const ownNamespace = -1
const retryMs = 1000

/** Whether the name still leads to the namespace of that id. */
function leadsTo(socket: NetlinkSocket, name: string, nsid: number): boolean {
  try {
    using namespace = openNamespace(name)
    return namespaceId(socket, namespace.fd) === nsid
  } catch (error) {
    if (error instanceof KeepwardError && error.code === 'namespace-missing') return false
    throw error
  }
}

function dumpView(socket: NetlinkSocket, nsid: number, knownLinks?: readonly Link[]): NamespaceView {
  const ask = (type: number, payload: Buffer[]) =>
    socket.dump({ says: `look into the namespace with id ${nsid}`, type, payload }).map(readEvent)
  try {
    const links = knownLinks === undefined ? ask(RTM_GETLINK, linkDump(nsid)) : []
    const events = [...links, ...ask(RTM_GETADDR, addressDump(nsid))].filter((event) => event !== undefined)
    return events.reduce(fold, { links: knownLinks ?? [], addresses: [] })
  } catch (cause) {
    // The kernel's word for an id that it does not know.
    if (kernelCodeOf(cause) !== 'EINVAL') throw cause
    throw new KeepwardError('namespace-missing', `There is no network namespace with id ${nsid}`, { cause })
  }
}

function eachDatagram(messages: Buffer, frames: Int32Array, hear: (nsid: number, message: Message) => void): void {
  let at = 0
  for (let frame = 0; frame < frames.length; frame += 2) {
    const end = at + (frames[frame + 1] ?? 0)
    for (const message of decodeMessages(messages, at, end)) hear(frames[frame] ?? ownNamespace, message)
    at = end
  }
}
