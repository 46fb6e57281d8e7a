import { closeSync } from 'node:fs'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import {
  decodeMessages,
  encodeMessage,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  readAcknowledgement,
} from './netlink.ts'
import { inNamespace } from './in-namespace.ts'

/** One message to the kernel. `says` completes the sentence "Cannot ..." of an error. */
export interface Request {
  readonly says: string
  readonly type: number
  /** Beyond NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags?: number
  readonly payload: readonly Buffer[]
  /** Error codes ('EEXIST') that mean the wish is already fulfilled. */
  readonly tolerate?: readonly string[]
}

/** A request/reply socket that stays in the namespace it was opened in. */
export interface NetlinkSocket extends Disposable {
  /**
   * Sends all requests at once. The kernel tries every one, whatever became of those before; the first that failed is
   * thrown as `netlink-failed` with the kernel's error code as its cause's code. Returns the answers of all.
   */
  apply(requests: readonly Request[]): Message[]
  /** All messages of a dump; asked again when the kernel says that it changed meanwhile. */
  dump(request: Request): Message[]
  close(): void
}

/** netlink(7). */
const NETLINK_ROUTE = 0

/**
 * Opens a socket in the namespace of `namespaceFd`, or in our own. Calls block the thread: the kernel answers route
 * requests within microseconds, but waits for its own lock while another process changes links.
 */
export function openNetlink(namespaceFd?: number, protocol = NETLINK_ROUTE): NetlinkSocket {
  const open = () => openDescriptor([], false, receiveBufferBytes, protocol)
  const fd = namespaceFd === undefined ? open() : inNamespace(namespaceFd, open)
  let sequence = 0
  let closed = false

  const exchange = (requests: readonly Request[], flags: number): Outcome[] => {
    const first = sequence + 1
    const messages = requests.map((request) =>
      encodeMessage(request.type, NLM_F_REQUEST | flags | (request.flags ?? 0), ++sequence, request.payload),
    )
    const answers = send(fd, Buffer.concat(messages), requests[0]?.says ?? '')
    const outcomes = requests.map((request) => ({ request, answers: [] as Message[] }))
    for (const answer of answers) outcomes[answer.sequence - first]?.answers.push(answer)
    return outcomes
  }

  const close = () => {
    if (!closed) closeSync(fd)
    closed = true
  }

  return {
    apply(requests) {
      const answers: Message[] = []
      for (let at = 0; at < requests.length; at += batchSize) {
        answers.push(...exchange(requests.slice(at, at + batchSize), NLM_F_ACK).flatMap(answersOf))
      }
      return answers
    },
    dump(request) {
      for (let attempt = 1; ; attempt++) {
        const outcome = exchange([request], NLM_F_DUMP)[0]
        const interrupted = outcome?.answers.some((answer) => answer.flags & NLM_F_DUMP_INTR) === true
        if (outcome !== undefined && (!interrupted || attempt === dumpAttempts)) return answersOf(outcome)
      }
    },
    close,
    [Symbol.dispose]: close,
  }
}

/** A descriptor for notifications of `groups`, of all namespaces with an id or of our own. */
export function openDescriptor(
  groups: readonly number[],
  allNamespaces: boolean,
  bufferBytes: number,
  protocol = NETLINK_ROUTE,
): number {
  try {
    return native().netlinkOpen(protocol, groups, allNamespaces, bufferBytes)
  } catch (cause) {
    const code = codeOf(cause, errnoOf(cause) === 'EPERM' ? 'permission-denied' : 'netlink-failed')
    throw new KeepwardError(code, 'Cannot open a netlink socket', {
      cause,
      hint: 'CAP_NET_BROADCAST is needed to watch',
    })
  }
}

interface Outcome {
  readonly request: Request
  readonly answers: Message[]
}

const timeoutMs = 5000
const dumpAttempts = 5
const receiveBufferBytes = 1024 * 1024
/** Each acknowledgement waits in the receive buffer (about 1 KB of accounting each) until the whole batch is done. */
const batchSize = 128

function send(fd: number, request: Buffer, says: string): Message[] {
  try {
    return decodeMessages(native().netlinkExchange(fd, request, timeoutMs))
  } catch (cause) {
    throw new KeepwardError('netlink-failed', `Cannot ${says}`, { cause })
  }
}

/** The data among the answers to one request; throws what the kernel refused and the request does not tolerate. */
function answersOf(outcome: Outcome): Message[] {
  const data: Message[] = []
  for (const answer of outcome.answers) {
    if (answer.type === NLMSG_ERROR || answer.type === NLMSG_DONE) check(outcome.request, answer)
    else data.push(answer)
  }
  return data
}

function check(request: Request, answer: Message): void {
  const refusal = readAcknowledgement(answer)
  if (refusal === undefined || request.tolerate?.includes(refusal.code)) return
  const { code, explanation } = refusal
  const cause = Object.assign(new Error(explanation === undefined ? code : `${code}, ${explanation}`), { code })
  throw new KeepwardError(codes[code] ?? 'netlink-failed', `Cannot ${request.says}`, { cause })
}

const codes: Readonly<Record<string, 'interface-missing' | 'permission-denied'>> = {
  ENODEV: 'interface-missing',
  EPERM: 'permission-denied',
}

/** The kernel's code ('EEXIST') behind an error of {@link NetlinkSocket}, or undefined. */
export function kernelCodeOf(error: unknown): string | undefined {
  return error instanceof KeepwardError ? errnoOf(error.cause) : undefined
}
