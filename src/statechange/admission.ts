import { hasUnread } from '../linux/unix-socket.ts'
import type { Connection } from './connections.ts'
import { isTrusted, type Policy } from './policy.ts'

export interface ConnectionLimits {
  /** Of each uid that is root or the agent's own, and of each other one. */
  readonly trusted: number
  readonly others: number
}

/** Why a connection waits or was ended: its user has too many, or it has not sent a request in time. */
export type Excess = 'connections' | 'deadline'

export interface AdmissionParts {
  readonly policy: Policy
  readonly limits: ConnectionLimits
  /** How many connections root and our own user may have together, waiting ones included; and as many all others. */
  readonly roomSize: number
  /** From connect(2) to the last byte of a request. */
  readonly deadlineMs: number
  /** Hear what it says from now on. */
  readonly serve: (connection: Connection) => void
  /** End it. */
  readonly end: (connection: Connection) => void
  /** One must wait or was ended. */
  readonly onExcess: (excess: Excess, connection: Connection) => void
}

/** The connections of one user. */
interface User {
  readonly limit: number
  readonly room: Room
  readonly served: Set<Connection>
  /** Unread, in the order in which they came. */
  readonly waiting: Set<Connection>
}

interface Room {
  open: number
}

/** While others of its user wait, one that says nothing gives its place up after so long; where there is no room at all, sooner. */
const patienceMs = 250
const noRoomPatienceMs = 100
/** Nobody waits longer. */
const longestWaitMs = 60_000

/**
 * Who is heard now, and who waits: of each user so many connections at once. One more is not refused, since a monitor of Neutron would
 * be deaf for ever after that; it is left unread until one of its user's ends. Those who connect and say nothing give way.
 */
export class Admission {
  readonly #parts: AdmissionParts
  readonly #users = new Map<number, User>()
  readonly #trusted: Room = { open: 0 }
  readonly #others: Room = { open: 0 }
  /** Without a request so far, in the order of their deadlines. */
  readonly #due = new Set<Connection>()

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** Connections that are left unread. */
  get waiting(): number {
    return [...this.#users.values()].reduce((sum, { waiting }) => sum + waiting.size, 0)
  }

  arrive(connection: Connection): void {
    const { uid } = connection.caller.sender
    const user = this.#users.get(uid) ?? this.#newUser(uid)
    user.room.open += 1
    this.#due.add(connection)
    connection.socket.once('close', () => {
      this.#left(connection, user)
    })
    if (user.served.size < user.limit) this.#serve(connection, user)
    else {
      user.waiting.add(connection)
      this.#parts.onExcess('connections', connection)
    }
    if (user.room.open > this.#parts.roomSize) this.#makeRoom(user.room, connection)
  }

  /** It has sent a request in time. */
  spoke(connection: Connection): void {
    connection.spoke = true
    this.#due.delete(connection)
  }

  /** Cut those that are too slow; called at least twice a second. */
  sweep(): void {
    const nowMs = performance.now()
    for (const connection of this.#due) {
      if (connection.dueMs > nowMs) break
      this.#due.delete(connection)
      if (this.#isOurDelay(connection, nowMs)) this.#postpone(connection)
      else this.#cut('deadline', connection)
    }
    for (const user of this.#users.values())
      if (user.waiting.size > 0) this.#makeWay(user, user.waiting.size, patienceMs)
  }

  /** End those that nobody reads; the others are the server's. */
  close(): void {
    for (const { waiting } of this.#users.values()) for (const { socket } of waiting) socket.destroy()
  }

  #newUser(uid: number): User {
    const { policy, limits } = this.#parts
    const trusted = isTrusted(policy, uid)
    const user = {
      limit: trusted ? limits.trusted : limits.others,
      room: trusted ? this.#trusted : this.#others,
      served: new Set<Connection>(),
      waiting: new Set<Connection>(),
    }
    this.#users.set(uid, user)
    return user
  }

  #serve(connection: Connection, user: User): void {
    user.served.add(connection)
    connection.idleSinceMs = performance.now()
    this.#parts.serve(connection)
  }

  #left(connection: Connection, user: User): void {
    const { uid } = connection.caller.sender
    user.room.open -= 1
    this.#due.delete(connection)
    user.waiting.delete(connection)
    user.served.delete(connection)
    for (const next of user.waiting) {
      if (user.served.size >= user.limit) break
      user.waiting.delete(next)
      // It was we who did not read what it has sent.
      if (hasUnread(next.socket)) this.#postpone(next)
      this.#serve(next, user)
    }
    // It may be another by now: one that was cut while it waited is still open for a moment.
    if (user.served.size + user.waiting.size === 0 && this.#users.get(uid) === user) this.#users.delete(uid)
  }

  #postpone(connection: Connection): void {
    connection.dueMs = performance.now() + this.#parts.deadlineMs
    this.#due.delete(connection)
    this.#due.add(connection)
  }

  /** What it has sent lies unread: it waits for us. */
  #isOurDelay(connection: Connection, nowMs: number): boolean {
    return nowMs - connection.connectedMs < longestWaitMs && hasUnread(connection.socket)
  }

  /** Too many of all: of the user with the most that wait, the oldest that says nothing, or else the one that came last. */
  #makeRoom(room: Room, newest: Connection): void {
    let most: User | undefined
    for (const user of this.#users.values()) {
      if (user.room === room && user.waiting.size > (most?.waiting.size ?? 0)) most = user
    }
    if (most !== undefined && this.#makeWay(most, 1, noRoomPatienceMs) > 0) return
    this.#cut('connections', [...(most?.waiting ?? [])].at(-1) ?? newest)
  }

  /** End so many of its connections, of those that have said nothing for so long; how many that are. */
  #makeWay(user: User, wanted: number, forMs: number): number {
    const sinceMs = performance.now() - forMs
    let ended = 0
    for (const connection of user.served) {
      if (ended === wanted) break
      if (connection.condemned || connection.owed > 0 || connection.idleSinceMs > sinceMs) continue
      if (hasUnread(connection.socket)) continue
      ended += 1
      // A kept connection between two requests may be closed at any time (RFC 9112, 9.5).
      if (connection.spoke) this.#parts.end(connection)
      else this.#cut('connections', connection)
    }
    return ended
  }

  #cut(excess: Excess, connection: Connection): void {
    this.#users.get(connection.caller.sender.uid)?.waiting.delete(connection)
    this.#parts.onExcess(excess, connection)
    this.#parts.end(connection)
  }
}
