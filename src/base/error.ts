import { errorHints, hintFor } from './error-hint.ts'

/**
 * The one error shape of the project: a stable code, a sentence that names what is and what is wanted, and a hint the
 * operator can act on: the one given, unless a resource ran out, or what the cause or the code has. `cause` keeps the
 * error below.
 */
export class KeepwardError extends Error {
  override readonly name = 'KeepwardError'
  readonly code: ErrorCode
  readonly hint: string

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = hintFor(code, options.hint, options.cause)
  }
}

/** Every error code there is, with what it means (docs/errors.md is made from this). A code, once released, keeps its meaning. */
export const errorMeanings = {
  'agent-unreachable': 'The control socket is not there, nobody listens, or no answer came in time.',
  'anchor-refused':
    'The end of a journal cannot be signed as asked: more than that was signed before, or there is no room.',
  'command-failed':
    'A program that was run ended with an error; the message holds its arguments, exit code and output.',
  'command-missing': 'A program that is needed is not installed.',
  'command-timeout': 'A program that was run did not end in time and was killed.',
  'config-changed': 'The config file is not the one that was just read: it was changed in between.',
  'config-invalid': 'The config has problems; each is named with file, line, column, what is and what is wanted.',
  'config-key-unusable':
    'A file of keys for config signatures is absent where one is needed, or holds anything but such keys.',
  'config-not-kept': 'What is to be applied cannot be kept for the next start, which would go back to an older config.',
  'config-signature-wrong':
    'The signature of the config file is of another form, by another key than those wanted, or of another file.',
  'config-unreadable': 'The config file cannot be read: absent, forbidden, too long, or no regular file.',
  'config-unsafe':
    'The config file, or a directory on its way, does not belong to root, can be written by others, or is a link.',
  'config-unsigned': 'A config file must be signed, and there is no signature beside it.',
  'directory-unsafe': 'Others than root and our own user can change a directory, or a component of its path is a link.',
  'file-failed': 'A file operation failed: no space, read-only, I/O error; the cause says which.',
  'file-unsafe': 'A file is a link, has other names, belongs to another user, or is of another type than wanted.',
  'hook-failed':
    'A program of the operator that hears of the role ended with an error, or took too long and was killed.',
  'hook-refused': 'A hook is not run: its program is not root’s alone, or its user is none that it may run as.',
  'hook-undeclared': 'The config of the router declares no such hook for that role.',
  'host-failed': 'Several routers could not be brought where they were wanted within the time allowed.',
  'host-unreachable': 'The process that works with root rights is not there, or gave no answer in time.',
  'interface-missing': 'An interface is not there.',
  'interface-undeclared': 'The config of the router declares no interface of that name.',
  internal: 'A defect of Keepward itself; please report it with the log line.',
  'journal-failed': 'The journal file cannot be opened, read or written, or is no whole journal.',
  'journal-full': 'Too many records waited for the disk; this one was replaced by a newer one of its router.',
  'journal-too-new': 'The journal file was written by a newer version of Keepward.',
  'keepalived-failed': 'keepalived cannot be started or judged, or says something that is not understood.',
  'keepalived-missing': 'keepalived is not installed.',
  'keepalived-refused-config': 'keepalived -t refuses the rendered config; the one before stays in force.',
  'keepalived-silent': 'keepalived does not run, is stopped, or does not answer within 3 s.',
  'keepalived-too-old': 'The installed keepalived is older than 2.2.0, or was built without VRRP or JSON.',
  'key-invalid': 'A key file holds something else than a key of the form that the message names.',
  'lab-failed': 'A lab cannot be made, found or changed as asked.',
  'namespace-failed': 'A network namespace cannot be opened, made or listed.',
  'namespace-missing': 'There is no network namespace of that name.',
  'native-missing': 'The native addon is not built for this machine.',
  'nats-failed': 'A NATS server cannot be reached, is not believed, or does not do what it is asked.',
  'netlink-failed': 'The kernel refused a change of links, addresses or routes; the message names which.',
  'packet-filter-refused':
    'The packet filter file of a router does not do: the message says what of it, or what stands in its way.',
  'permission-denied': 'The kernel or the policy does not allow it to this user.',
  'privileges-excess': 'The agent is not root and yet has capabilities, which it does not need.',
  'reaction-cancelled': 'The role changed before a service had followed it; the newer role is followed instead.',
  'reaction-failed': 'A service that follows the role could not be started or ended.',
  'reaction-refused': 'A service that follows the role refuses the config that was rendered for it.',
  'records-removed': 'Retention removed records that the subscriber has not seen; the message names where to resume.',
  'report-refused': 'A sink does not take a report, and never will: it is set aside, and the sink hears the next one.',
  'request-invalid': 'A request or an option is not of the form wanted.',
  'resources-exhausted':
    'No descriptor, process or memory is left to this process or the machine; it says nothing of what was asked for.',
  'role-change-not-accepted': 'What was asked for makes routers change their role, and nobody said that they may.',
  'router-unknown': 'Neither the config nor the kernel knows a router of that id.',
  'secret-unavailable':
    'A source of a secret has none: no such credential or variable, a command that failed or said too much, or a Vault that has none or denies it.',
  'sink-unavailable':
    'A sink cannot be reached, takes no reports now, or is not as the settings say; it is tried again by itself.',
  'state-in-use': 'Another process uses the state directory, the journal or the socket.',
  'subscriber-too-slow': 'A subscriber read too slowly and was ended; the message names where to resume.',
  'vault-unavailable':
    'Vault or OpenBao cannot be reached, is sealed or overloaded, or says something that is not understood.',
} as const

export type ErrorCode = keyof typeof errorMeanings

export const errorCodes = Object.keys(errorMeanings) as ErrorCode[]

/** What the system says when nothing is left to do a call with. */
const exhaustion: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM']

/** `otherwise`, unless the system had nothing left to do what was asked. */
export function codeOf(cause: unknown, otherwise: ErrorCode): ErrorCode {
  const known = cause instanceof KeepwardError && cause.code === 'resources-exhausted'
  return known || exhaustion.includes(errnoOf(cause) ?? '') ? 'resources-exhausted' : otherwise
}

/** The sentence for a person: message, causes, and the hint where it says more than that of the code. */
export function describeError(error: unknown): string {
  const knowsMore = error instanceof KeepwardError && error.hint !== errorHints[error.code]
  return sentenceOf(error) + (knowsMore ? ` (${error.hint})` : '')
}

/** Message and causes, without the hint. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : JSON.stringify(error)
  const parts: string[] = []
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) parts.push(at.message)
  return parts.join(': ')
}

/** The `code` of a Node.js system error (`ENOENT`, ...), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
