import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isTrusted, type Policy, type Sender } from './policy.ts'

export interface ConnectionLimits {
  /** Of each uid that is root or the agent's own, and of each other one. */
  readonly trusted: number
  readonly others: number
}

/** Requests of one connection that wait for their answers: no sender that we know of ever sends a second one. */
const maxOwed = 16
/** Some milliseconds' worth. */
const endsPerTurn = 64

/** Who is at the other end of a connection. */
export interface Caller {
  readonly sender: Sender
  /** Path of its control group at the time that it connected. */
  readonly controlGroup: string
}

/**
 * The connections of each user, bounded. One more than allowed ends the user's oldest that has not sent a request yet, so that
 * those who connect and say nothing keep nobody out, not even of their own.
 */
export class Connections {
  readonly #policy: Policy
  readonly #limits: ConnectionLimits
  readonly #callers = new Map<Socket, Caller>()
  readonly #condemned = new WeakSet<Socket>()
  readonly #owed = new WeakMap<Socket, { answers: number; afterwards?: () => void }>()
  #ending: Socket[] = []
  /** By uid: all, and those that have not sent a request, oldest first. */
  readonly #open = new Map<number, number>()
  readonly #silent = new Map<number, Set<Socket>>()
  readonly #othersTogether: number
  #openOfOthers = 0

  /** `othersTogether`: how many all users but root and our own may have, so that there is room for those two. */
  constructor(policy: Policy, limits: ConnectionLimits, othersTogether: number) {
    this.#policy = policy
    this.#limits = limits
    this.#othersTogether = othersTogether
  }

  callerOf(socket: Socket): Caller | undefined {
    return this.#callers.get(socket)
  }

  /** False when another connection, or this one, was ended for being one too many. */
  admit(socket: Socket, caller: Caller): boolean {
    const { uid } = caller.sender
    const isOther = !isTrusted(this.#policy, uid)
    const open = (this.#open.get(uid) ?? 0) + 1
    if (isOther) this.#openOfOthers += 1
    const silent = this.#silent.get(uid) ?? new Set<Socket>()
    this.#silent.set(uid, silent)
    this.#callers.set(socket, caller)
    this.#open.set(uid, open)
    silent.add(socket)
    socket.once('close', () => {
      this.#forget(socket, uid)
    })
    const limit = isOther ? this.#limits.others : this.#limits.trusted
    if (open <= limit && (!isOther || this.#openOfOthers <= this.#othersTogether)) return true
    const [oldest = socket] = silent
    oldest.destroy()
    return false
  }

  /** It has sent a request. Undefined when nobody knows whose it is. */
  spoke(socket: Socket): Caller | undefined {
    const caller = this.#callers.get(socket)
    if (caller !== undefined) this.#silent.get(caller.sender.uid)?.delete(socket)
    return caller
  }

  /** This answer to it is due. */
  owe({ socket }: { readonly socket: Socket }, response: ServerResponse): void {
    const owed = this.#owed.get(socket) ?? { answers: 0 }
    this.#owed.set(socket, owed)
    owed.answers += 1
    response.once('close', () => {
      owed.answers -= 1
      if (owed.answers === 0) owed.afterwards?.()
    })
  }

  /** Whether it has asked so much that it must wait for answers before it is heard again. */
  isAhead(socket: Socket): boolean {
    return (this.#owed.get(socket)?.answers ?? 0) >= maxOwed
  }

  /** Once no answer is due to it: what is said out of turn would be taken for the answer to an earlier request. */
  inTurn(socket: Socket, does: () => void): void {
    // By then, what was read before is heard to the end of its body.
    setImmediate(() => {
      const owed = this.#owed.get(socket)
      if (owed === undefined || owed.answers === 0) does()
      else owed.afterwards = does
    })
  }

  /** Hear nothing more from it. */
  condemn(socket: Socket): void {
    this.#condemned.add(socket)
  }

  /** End it, within some turns of the loop: after a storm thousands are due at once, and nobody else is to wait for them. */
  endSoon(socket: Socket): void {
    this.condemn(socket)
    if (this.#ending.push(socket) === 1) setImmediate(this.#endSome)
  }

  isCondemned(socket: Socket): boolean {
    return this.#condemned.has(socket)
  }

  readonly #endSome = (): void => {
    for (const socket of this.#ending.splice(0, endsPerTurn)) socket.destroy()
    if (this.#ending.length > 0) setImmediate(this.#endSome)
  }

  #forget(socket: Socket, uid: number): void {
    this.#callers.delete(socket)
    this.#silent.get(uid)?.delete(socket)
    if (!isTrusted(this.#policy, uid)) this.#openOfOthers -= 1
    const open = (this.#open.get(uid) ?? 1) - 1
    this.#open.set(uid, open)
    if (open > 0) return
    this.#open.delete(uid)
    this.#silent.delete(uid)
  }
}
