import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Sender } from './policy.ts'

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

/** A connection, with what is due on it. */
export interface Connection {
  readonly socket: Socket
  readonly caller: Caller
  /** All times are of the monotonic clock, in milliseconds. */
  readonly connectedMs: number
  /** Until then it must have sent a request; it moves on while the connection waits with one. */
  dueMs: number
  /** It has sent a request. */
  spoke: boolean
  /** Since when no answer is due. */
  idleSinceMs: number
  owed: number
  afterwards: (() => void) | undefined
  /** Nothing more is heard from it. */
  condemned: boolean
}

/** Every connection whose other end is known, by its socket. */
export class Connections {
  readonly #all = new WeakMap<Socket, Connection>()
  #ending: Socket[] = []

  add(socket: Socket, caller: Caller, deadlineMs: number): Connection {
    const nowMs = performance.now()
    const made: Connection = {
      socket,
      caller,
      connectedMs: nowMs,
      dueMs: nowMs + deadlineMs,
      spoke: false,
      idleSinceMs: nowMs,
      owed: 0,
      afterwards: undefined,
      condemned: false,
    }
    this.#all.set(socket, made)
    return made
  }

  of(socket: Socket): Connection | undefined {
    return this.#all.get(socket)
  }

  /** This answer to it is due. */
  owe(connection: Connection, response: ServerResponse): void {
    connection.owed += 1
    response.once('close', () => {
      connection.owed -= 1
      connection.idleSinceMs = performance.now()
      if (connection.owed === 0) connection.afterwards?.()
    })
  }

  /** Whether it has asked so much that it must wait for answers before it is heard again. */
  isAhead(socket: Socket): boolean {
    return (this.of(socket)?.owed ?? 0) >= maxOwed
  }

  /** Once no answer is due to it: what is said out of turn would be taken for the answer to an earlier request. */
  inTurn(socket: Socket, does: () => void): void {
    // By then, what was read before is heard to the end of its body.
    setImmediate(() => {
      const connection = this.of(socket)
      if (connection === undefined || connection.owed === 0) does()
      else connection.afterwards = does
    })
  }

  /** End it, within some turns of the loop: after a storm thousands are due at once, and nobody else is to wait for them. */
  endSoon(socket: Socket): void {
    const connection = this.of(socket)
    if (connection !== undefined) connection.condemned = true
    if (this.#ending.push(socket) === 1) setImmediate(this.#endSome)
  }

  /** Whether nothing more is heard from it; nobody hears one that nobody knows. */
  isCondemned(socket: Socket): boolean {
    return this.of(socket)?.condemned ?? true
  }

  readonly #endSome = (): void => {
    for (const socket of this.#ending.splice(0, endsPerTurn)) socket.destroy()
    if (this.#ending.length > 0) setImmediate(this.#endSome)
  }
}
