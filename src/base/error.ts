/**
 * The one error shape of the project: a stable code, a sentence that names what is and what is wanted, and a hint the
 * operator can act on. `cause` keeps the error below.
 */
export class KeepwardError extends Error {
  override readonly name = 'KeepwardError'
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }
}

/** Every error code there is. A code, once released, keeps its meaning. */
export type ErrorCode =
  | 'config-invalid'
  | 'config-unreadable'
  | 'command-failed'
  | 'command-missing'
  | 'command-timeout'
  | 'directory-unsafe'
  | 'file-unsafe'
  | 'file-failed'
  | 'netlink-failed'
  | 'namespace-missing'
  | 'namespace-failed'
  | 'interface-missing'
  | 'keepalived-missing'
  | 'keepalived-too-old'
  | 'keepalived-refused-config'
  | 'keepalived-failed'
  | 'keepalived-silent'
  | 'host-failed'
  | 'journal-failed'
  | 'journal-too-new'
  | 'journal-full'
  | 'subscriber-too-slow'
  | 'records-removed'
  | 'state-in-use'
  | 'permission-denied'
  | 'router-unknown'
  | 'request-invalid'
  | 'agent-unreachable'
  | 'native-missing'
  | 'lab-failed'
  | 'internal'

/** The sentence for a person: message, causes, hint. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let at: unknown = error
  while (at instanceof Error && parts.length < 5) {
    parts.push(at.message)
    at = at.cause
  }
  if (!(error instanceof Error)) parts.push(typeof error === 'string' ? error : JSON.stringify(error))
  const hint = error instanceof KeepwardError && error.hint !== undefined ? ` (${error.hint})` : ''
  return parts.join(': ') + hint
}

/** The `code` of a Node.js system error (`ENOENT`, ...), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
