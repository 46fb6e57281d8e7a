import { KeepwardError, type ErrorCode } from '../base/error.ts'
import type { Tallied } from '../base/tally.ts'
import type { RouterId } from '../router/spec.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { Peer } from '../linux/unix-socket.ts'
import type { Ask } from './wire.ts'

/** Why a connection was ended (docs/refusals.md is made from this); an operation that was understood is refused with the code of its error. */
export const connectionRefusals = {
  'peer-refused': 'Who connected is neither root nor the agent’s user, or it could not be asked or served.',
  'request-malformed': 'A request was not of a form that there is.',
  'request-too-long': 'A request was longer than 1024 bytes.',
  'request-repeated': 'The number of a request was not above that of the one before.',
  'requests-too-many': 'More than 1024 requests waited for their answers.',
  'answers-unread': 'The agent did not read its answers until 32 MiB of them waited.',
} as const
export type ConnectionRefusal = keyof typeof connectionRefusals

/** Something that the root half did not do: for whom, what, on which router, and why. */
export interface HostRefusal extends Tallied {
  readonly reason: ConnectionRefusal | ErrorCode | 'many'
  /** For a person. */
  readonly text: string
  /** As far as the request was of a form; undefined: there was none, or it named no such thing. */
  readonly verb: Ask['verb'] | undefined
  readonly router: RouterId | undefined
  /** As the kernel said when it connected; undefined: it did not say. */
  readonly peer: Pick<Peer, 'uid' | 'gid' | 'pid'> | undefined
  /** What the peer runs, as far as could be seen. */
  readonly executable: Executable | undefined
}

/** Whether an operation failed since it must not be done; all else is what may happen to one that may. */
export function isRefused(verb: Ask['verb'], error: unknown): error is KeepwardError {
  if (!(error instanceof KeepwardError)) return false
  const asksForConfig = verb === 'configure' || verb === 'stage'
  return refusing.has(error.code) || (asksForConfig && error.code.startsWith('config-'))
}

/** Of any operation. */
export const refusing: ReadonlySet<ErrorCode> = new Set([
  'router-unknown',
  'interface-undeclared',
  'hook-undeclared',
  'anchor-refused',
  'request-invalid',
])
