import { closeSync } from 'node:fs'
import { fold, type KernelEvent, type NamespaceView, readEvent, sameView } from './namespace-view.ts'
import { native } from './native.ts'
import { decodeMessages, type Message } from './netlink.ts'
import { openDescriptor } from './netlink-socket.ts'
import {
  type InterfaceAddress,
  type Link,
  readNamespaceId,
  RTM_DELNSID,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
  RTNLGRP_NSID,
} from './rtnetlink.ts'

/** What was found in a namespace, at some moment while the finding ran. */
export interface Snapshot {
  readonly nsid: number
  /** Undefined: not looked at, those that are known count. */
  readonly links: readonly Link[] | undefined
  readonly addresses: readonly InterfaceAddress[]
}

/** Why a view changed: the kernel said so, or looking again found that it had said so unheard. */
export type ChangeCause = { readonly kind: 'event'; readonly event: KernelEvent } | { readonly kind: 'look' }

/** The callbacks run while the socket is read: they take note and do not call the watch. */
export interface KernelWatchOptions {
  /** From {@link openWatchSocket}; closed with the watch. */
  readonly fd: number
  /** The view of a tracked namespace changed, once for each change, in the kernel's order. */
  readonly onChange: (nsid: number, view: NamespaceView, cause: ChangeCause) => void
  /** A tracked namespace ended and is not tracked any more; its id may be given to another. */
  readonly onGone: (nsid: number) => void
  /**
   * The receive buffer overflowed, or `onChange` threw. The end of a namespace may be among what was missed, and its id may be another's now: nothing is
   * tracked any more until it is looked at again.
   */
  readonly onOverrun?: () => void
}

/** Sees link and address changes of all tracked namespaces through one socket. It needs no privilege once it has that. */
export interface KernelWatch extends Disposable {
  /** How often the receive buffer has overflowed. */
  readonly overruns: number
  /**
   * Takes a snapshot by `take`, folds into it what the kernel said meanwhile, and tracks the namespace from then on: subscription
   * comes before snapshot, and nothing in between is lost. `missed`: events had been missed; `onChange` has been called. The namespace is
   * not held. Undefined when `take` found nothing, or the watch was closed. Rejects with what `take` rejects with.
   */
  look(
    take: () => Promise<Snapshot | undefined>,
  ): Promise<{ readonly nsid: number; readonly missed: boolean } | undefined>
  /** As {@link look}, for who can take a snapshot at once. */
  track(take: () => Snapshot): { readonly nsid: number; readonly missed: boolean }
  untrack(nsid: number): void
  /** What the namespace holds as of the last event; undefined when it is not tracked. */
  view(nsid: number): NamespaceView | undefined
  close(): void
}

/** The socket of a watch: of all namespaces with an id. Needs CAP_NET_BROADCAST, and CAP_NET_ADMIN for a large buffer. */
export function openWatchSocket(receiveBufferBytes = defaultBufferBytes): number {
  return openDescriptor(groups, true, receiveBufferBytes)
}

/** What the kernel says while a snapshot is taken. */
interface Recording {
  readonly events: { readonly nsid: number; readonly event: KernelEvent }[]
  readonly ended: Set<number>
  /** Something was not recorded. */
  torn: boolean
}

export function watchKernel({ fd, ...options }: KernelWatchOptions): KernelWatch {
  const tracked = new Map<number, NamespaceView>()
  const recordings = new Set<Recording>()
  let overruns = 0
  let overrunPending = false
  let closed = false

  const hear = (nsid: number, message: Message) => {
    if (nsid === ownNamespace && message.type === RTM_DELNSID) forget(readNamespaceId(message))
    const known = tracked.get(nsid)
    if (known === undefined && recordings.size === 0) return
    const event = readEvent(message)
    if (event === undefined) return
    for (const recording of recordings) record(recording, nsid, event)
    if (known !== undefined) change(nsid, fold(known, event), { kind: 'event', event })
  }

  const change = (nsid: number, after: NamespaceView, cause: ChangeCause) => {
    if (tracked.get(nsid) === after) return
    tracked.set(nsid, after)
    options.onChange(nsid, after, cause)
  }

  const forget = (nsid: number | undefined) => {
    if (nsid === undefined) return
    for (const { ended } of recordings) ended.add(nsid)
    if (tracked.delete(nsid)) options.onGone(nsid)
  }

  const handle = native().watch(fd, (_errno, messages, frames) => {
    if (
      messages !== null &&
      frames !== null &&
      understood(() => {
        eachDatagram(messages, frames, hear)
      })
    )
      return
    // ENOBUFS, a message that did not fit or was not understood: whatever it was, something was missed.
    overruns++
    for (const recording of recordings) recording.torn = true
    if (!overrunPending) setImmediate(recover)
    overrunPending = true
  })

  /** The kernel sends a full socket nothing more until its queue has been emptied, without a second ENOBUFS. */
  const recover = () => {
    overrunPending = false
    if (closed) return
    native().drain(handle)
    tracked.clear()
    options.onOverrun?.()
  }

  const begin = (): Recording => {
    native().drain(handle)
    const recording: Recording = { events: [], ended: new Set(), torn: false }
    recordings.add(recording)
    return recording
  }

  const look: KernelWatch['look'] = async (take) => {
    for (let attempt = 1; !closed; attempt++) {
      const recording = begin()
      try {
        const found = await take()
        if (found === undefined || isClosed()) return undefined
        native().drain(handle)
        const whole = !recording.torn && !recording.ended.has(found.nsid)
        // After an overrun another look comes in any case.
        if (whole || attempt === maxAttempts) return settle(found, recording)
      } finally {
        recordings.delete(recording)
      }
    }
    return undefined
  }

  const track = (take: () => Snapshot) => {
    const recording = begin()
    try {
      const found = take()
      native().drain(handle)
      return settle(found, recording)
    } finally {
      recordings.delete(recording)
    }
  }

  const settle = ({ nsid, links, addresses }: Snapshot, { events }: Recording) => {
    const known = tracked.get(nsid)
    const snapshot = { links: links ?? known?.links ?? [], addresses }
    const view = events.filter((one) => one.nsid === nsid).reduce((folded, { event }) => fold(folded, event), snapshot)
    const missed = known !== undefined && !sameView(known, view)
    if (missed) change(nsid, view, { kind: 'look' })
    else if (known === undefined) tracked.set(nsid, view)
    return { nsid, missed }
  }

  const isClosed = () => closed

  const close = () => {
    if (closed) return
    closed = true
    native().unwatch(handle)
    closeSync(fd)
    tracked.clear()
  }

  return {
    get overruns() {
      return overruns
    },
    look,
    track,
    untrack: (nsid) => void tracked.delete(nsid),
    view: (nsid) => tracked.get(nsid),
    close,
    [Symbol.dispose]: close,
  }
}

const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID]
const ownNamespace = -1
const maxAttempts = 3
/** More than this said within one look is as if it had not been heard. */
const maxRecorded = 20_000
/** It holds about 20 000 changes while the event loop is busy. */
const defaultBufferBytes = 64 * 1024 * 1024

function record(recording: Recording, nsid: number, event: KernelEvent): void {
  if (recording.events.length < maxRecorded) recording.events.push({ nsid, event })
  else recording.torn = true
}

/** An exception in the callback of a watch would end the process. */
function understood(hear: () => void): boolean {
  try {
    hear()
    return true
  } catch {
    return false
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
