import { closeSync, fstatSync } from 'node:fs'
import { codeOf, KeepwardError } from '../base/error.ts'
import { findUser, type User } from '../linux/account.ts'
import { runConfined, type ConfinedEnd } from '../linux/confined.ts'
import { openRootFile } from '../linux/root-file.ts'
import type { News } from '../router/hook.ts'
import type { Hook, RouterSpec } from '../router/spec.ts'

/** Where a hook runs. */
export interface HookPlace {
  /** Agent id. */
  readonly agent: string
  /** The agent's user, whom no hook may be. */
  readonly agentUid: number
  /** Of the router; undefined for a hook that sees the host's. */
  readonly namespaceFd: number | undefined
  /** Has it killed. */
  readonly signal: AbortSignal
}

/** Of each stream. */
export const maxSaidBytes = 64 * 1024
const shownLength = 1000

/**
 * Runs a hook to its end. Answers what it said, cut short. Throws `hook-refused` for a program or a user that it must not run with, and
 * `hook-failed` when it ends in another way than with exit code 0 in time. Any other code says that it was not run, for no reason of its own.
 */
export async function runHook(hook: Hook, spec: RouterSpec, news: News, place: HookPlace): Promise<string> {
  const user = await demandUser(hook, place.agentUid)
  const program = openProgram(hook.program)
  try {
    const { agent, namespaceFd, signal } = place
    const end = await runConfined(program, [hook.program, ...hook.args], {
      ...user,
      timeoutMs: hook.timeoutMs,
      stdin: `${JSON.stringify(eventOf(agent, spec, news))}\n`,
      maxOutputBytes: maxSaidBytes,
      env: environmentOf(agent, spec, hook, news),
      namespaceFd,
      signal,
    })
    return demandDone(hook, end)
  } catch (error) {
    throw failedWith(hook, error)
  } finally {
    closeSync(program)
  }
}

/** As JSON on stdin. */
const eventOf = (agent: string, spec: RouterSpec, { role, previous, sequence, atMs, cause }: News) => ({
  version: 1,
  agent,
  router: spec.id,
  role,
  previousRole: previous,
  sequence,
  time: new Date(atMs).toISOString(),
  cause,
  namespace: spec.namespace,
})

function environmentOf(agent: string, spec: RouterSpec, { program }: Hook, news: News): Record<string, string> {
  const { router, role, previousRole, sequence, time, cause, namespace } = eventOf(agent, spec, news)
  return {
    KEEPWARD_AGENT: agent,
    KEEPWARD_ROUTER: router,
    KEEPWARD_ROLE: role,
    KEEPWARD_PREVIOUS_ROLE: previousRole,
    KEEPWARD_SEQUENCE: String(sequence),
    KEEPWARD_TIME: time,
    KEEPWARD_CAUSE: cause,
    KEEPWARD_NAMESPACE: namespace,
    KEEPWARD_HOOK: program,
  }
}

async function demandUser({ program, user }: Hook, agentUid: number): Promise<User> {
  const found = await findUser(user)
  if (found === undefined) throw refused(program, `this host has no user ${user}`)
  if (found.uid === 0 || found.gid === 0) throw refused(program, `user ${user} is root, or of root’s group`)
  if (found.uid === agentUid) throw refused(program, `user ${user} is the agent’s, who may ask keepward-host`)
  return found
}

/** All of it asked of the descriptor that is executed: whatever bears the name by then. */
function openProgram(path: string): number {
  let fd: number
  try {
    fd = openRootFile(path)
  } catch (cause) {
    throw codeOf(cause, 'hook-refused') === 'hook-refused' ? refused(path, cause) : cause
  }
  const { mode } = fstatSync(fd)
  if ((mode & 0o6000) === 0 && (mode & 0o111) !== 0) return fd
  closeSync(fd)
  throw refused(path, `its mode is ${(mode & 0o7777).toString(8)}, must be executable, without setuid and setgid`)
}

function demandDone(hook: Hook, end: ConfinedEnd): string {
  const said = (end.stderr.trim() || end.stdout.trim()).slice(0, shownLength)
  if (end.exitCode === 0 && !end.timedOut) return said
  const how = end.timedOut
    ? `it was killed after ${hook.timeoutMs} ms`
    : end.signal === undefined
      ? `it ended with exit code ${String(end.exitCode ?? 'none')}`
      : `it ended by ${end.signal}`
  const beyond = end.overflowed ? `, and wanted to say more than ${maxSaidBytes} bytes` : ''
  throw new KeepwardError('hook-failed', `${how}${beyond}; it said: ${said === '' ? 'nothing' : said}`)
}

function failedWith({ program }: Hook, error: unknown): unknown {
  if (!(error instanceof KeepwardError) || error.code === 'hook-failed') return error
  return error.code === 'command-failed' ? refused(program, error) : error
}

/** `why`: a sentence, or the error that says it. */
const refused = (program: string, why: unknown): KeepwardError =>
  typeof why === 'string'
    ? new KeepwardError('hook-refused', `${program} is not run: ${why}`)
    : new KeepwardError('hook-refused', `${program} is not run`, { cause: why })
