import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withoutControls } from '../base/controls.ts'
import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import type { Role } from '../router/role.ts'
import { parseRouterId } from '../router/spec.ts'
import { masterKeyName, routerKey } from '../statechange/keys.ts'
import { wireStates } from '../statechange/message.ts'
import { maxDeadlineMs, notify as send, type Notice, type Outcome } from '../statechange/notify.ts'
import { ExitStatus } from './exit-status.ts'
import { failedWith } from './failure.ts'
import type { Globals } from './globals.ts'
import { keyIn } from './key-file.ts'
import { print } from './print.ts'

/** As commander hands them over. */
interface NotifyOptions {
  readonly state?: string | undefined
  readonly keyFile?: string | undefined
  readonly keyId?: string | undefined
  readonly interval?: string | undefined
  readonly deadline?: string | undefined
}

/** `keepward notify ROUTER STATE`: exit status 0 acknowledged or superseded, 1 refused, 3 not delivered in time. */
export async function notify(globals: Globals, options: NotifyOptions, router = '', state = ''): Promise<number> {
  const notice = readNotice(globals, options, router, state)
  const outcome = await send(notice)
  const { kind, ...details } = outcome
  const json = { router: notice.router, state: notice.state, outcome: kind, ...details }
  const text = `${notice.router} ${notice.state}: ${ending(outcome, notice.deadlineMs)}`
  print(globals, json, () => withoutControls(text))
  return statuses[kind]
}

/**
 * The same from the words after `keepward`, without the general program, which takes longer to load than the rest of a
 * call takes. Undefined when it cannot read them: a wrong option, or help that is asked for.
 */
export async function notifyAtOnce(words: readonly string[]): Promise<number | undefined> {
  const read = readWords(words)
  return read && (await notify(...read).catch(failedWith))
}

/** Words for the state, keepalived's among them. When keepalived stops it no longer says anything of the router. */
const states: ReadonlyMap<string, Role> = new Map([...wireStates, ['stop', 'unknown']])

const defaultStateDirectory = '/var/lib/keepward'
const defaultDeadlineS = '30'
/** sun_path holds 107 bytes and a NUL (unix(7)); Node.js would cut a longer one short without a word. */
const maxSocketPathBytes = 107
/** As many digits as the server reads. */
const maxIntervalS = 999_999

const statuses: Readonly<Record<Outcome['kind'], number>> = {
  delivered: ExitStatus.ok,
  superseded: ExitStatus.ok,
  refused: ExitStatus.degraded,
  undelivered: ExitStatus.unknown,
}

function ending(outcome: Outcome, deadlineMs: number): string {
  switch (outcome.kind) {
    case 'delivered':
      return 'delivered'
    case 'superseded':
      return 'superseded by a newer message'
    case 'refused':
      return `refused: ${outcome.code}`
    case 'undelivered':
      return `not delivered within ${String(deadlineMs / 1000)} s: ${outcome.reason}`
  }
}

/** Throws `request-invalid`, and whatever reading the key throws. */
function readNotice(globals: Globals, options: NotifyOptions, routerText: string, stateText: string): Notice {
  const router = parseRouterId(routerText)
  if (router === undefined) throw invalid(`"${routerText}" is no router id`)
  const state = states.get(stateText.toLowerCase())
  if (state === undefined) throw invalid(`The state is "${stateText}", must be primary, backup, fault or unknown`)
  const keyId = options.keyId ?? router
  if (parseRouterId(keyId) === undefined) throw invalid(`"${keyId}" is no key id, which has the form of a router id`)
  const directory = options.state ?? defaultStateDirectory
  const socket = globals.socket ?? join(directory, 'keepalived-state-change')
  if (Buffer.byteLength(socket) > maxSocketPathBytes)
    throw invalid(`${socket} is longer than a socket's path may be (${String(maxSocketPathBytes)} bytes)`)
  const { interval, deadline = defaultDeadlineS } = options
  return {
    router,
    state,
    socket,
    key: {
      id: keyId,
      secret: options.keyFile === undefined ? ownKey(directory, keyId) : keyIn(options.keyFile),
    },
    intervalS: interval === undefined ? undefined : readSeconds('--interval', interval, /^[0-9]+$/, 1, maxIntervalS),
    deadlineMs: readSeconds('--deadline', deadline, /^[0-9]+(\.[0-9]+)?$/, 0.1, maxDeadlineMs / 1000) * 1000,
  }
}

function readSeconds(option: string, text: string, form: RegExp, least: number, most: number): number {
  const seconds = form.test(text) ? Number(text) : NaN
  if (seconds >= least && seconds <= most) return seconds
  throw invalid(`${option} is ${text}, must be from ${String(least)} to ${String(most)} seconds`)
}

/** `keepward notify-key ROUTER`: print the key that speaks for that router alone, for a sender that is not root. */
export function notifyKey(_globals: Globals, options: Pick<NotifyOptions, 'state'>, router = ''): Promise<number> {
  if (parseRouterId(router) === undefined) throw invalid(`"${router}" is no router id`)
  const key = ownKey(options.state ?? defaultStateDirectory, router)
  process.stdout.write(`${key.revealBytes().toString('hex')}\n`)
  return Promise.resolve(ExitStatus.ok)
}

/** The key that follows from the agent's own secret, which root can read. Who could have put one there does not matter: the agent refuses what another has signed. */
function ownKey(directory: string, id: string): Secret {
  return routerKey(keyIn(join(directory, masterKeyName)), id)
}

/** Undefined for what only the general program can answer. */
function readWords(args: readonly string[]): [Globals, NotifyOptions, ...string[]] | undefined {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: optionForms, allowPositionals: true })
    const [command, ...words] = positionals
    if (command !== 'notify' || words.length !== 2) return undefined
    const { config = '', socket, json = false, state, interval, deadline } = values
    // What a config file says takes longer to read than all the rest.
    if (config !== '' && state === undefined) return undefined
    const options = { state, keyFile: values['key-file'], keyId: values['key-id'], interval, deadline }
    return [{ config, socket, json }, options, ...words]
  } catch {
    return undefined
  }
}

const optionForms = {
  config: { type: 'string', short: 'c' },
  socket: { type: 'string' },
  json: { type: 'boolean' },
  state: { type: 'string' },
  'key-file': { type: 'string' },
  'key-id': { type: 'string' },
  interval: { type: 'string' },
  deadline: { type: 'string' },
} as const

const invalid = (message: string): KeepwardError => new KeepwardError('request-invalid', message)
