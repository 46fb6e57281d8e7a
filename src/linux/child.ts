import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { inNamespace } from './in-namespace.ts'
import { native } from './native.ts'

export const cleanEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const

export interface ChildOptions {
  /** Network namespace that it runs in. */
  readonly namespaceFd?: number | undefined
  /** Added to {@link cleanEnvironment}; its PATH is where the program is looked for. */
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  /** Descriptors for its stdin, stdout and stderr, -1 for /dev/null; all three are /dev/null. */
  readonly stdio?: readonly [number, number, number]
}

/** A child of ours. libuv waits only for those that it started: who holds this one waits for it, by its pidfd. */
export interface Child {
  readonly pid: number
  /** The holder closes it. */
  readonly pidfd: number
}

/**
 * Starts a program in a session of its own, with nothing of ours but `stdio`: `argv` as it is, no shell, signals at their
 * defaults. Throws `command-missing`, `resources-exhausted` or `command-failed`; then there is no child.
 */
export function startChild(argv: readonly string[], options: ChildOptions = {}): Child {
  const [program] = argv
  if (program === undefined) throw new KeepwardError('internal', 'A command needs a program')
  const env: Readonly<Record<string, string>> = { ...cleanEnvironment, ...options.env }
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const paths = candidates(program, env['PATH'] ?? '')
  const { cwd = '/', stdio = [-1, -1, -1], namespaceFd } = options
  const launch = () => native().spawn(paths, argv, variables, cwd, stdio)
  try {
    return namespaceFd === undefined ? launch() : inNamespace(namespaceFd, launch)
  } catch (error) {
    throw error instanceof KeepwardError ? error : startError(program, error)
  }
}

/** How a child ended, which leaves nothing of it in the kernel; undefined while it runs. */
export function waitForChild({ pidfd }: Child): { readonly exitCode: number; readonly signal: number } | undefined {
  return native().pidfdWait(pidfd) ?? undefined
}

/** Where a program is looked for, in this order. */
export const candidates = (program: string, path: string = cleanEnvironment.PATH): string[] =>
  program.includes('/') ? [program] : path.split(':').map((directory) => `${directory}/${program}`)

/** Why a program cannot be started. That there is nothing left to start it with says nothing of it. */
export function startError(program: string, cause: unknown): KeepwardError {
  const call = cause instanceof Error && 'syscall' in cause ? cause.syscall : undefined
  if (errnoOf(cause) === 'ENOENT' && call === 'execve') {
    return new KeepwardError('command-missing', `The program ${program} is not installed`, { cause })
  }
  // The word of clone(2), and of execve(2) after a change of user, for no more processes.
  if (errnoOf(cause) === 'EAGAIN') {
    const hint = 'no more processes are allowed: raise TasksMax= in the unit, or find out who has so many'
    return new KeepwardError('resources-exhausted', `Cannot start ${program}`, { cause, hint })
  }
  return new KeepwardError(codeOf(cause, 'command-failed'), `Cannot start ${program}`, { cause })
}
