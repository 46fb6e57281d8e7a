import { openSync } from 'node:fs'
import { codeOf, KeepwardError } from '../base/error.ts'
import { native } from './native.ts'

/**
 * Runs `body` with this thread in the network namespace of `namespaceFd` and returns what it returns. Sockets opened and
 * processes spawned in it belong to that namespace. `body` is synchronous: nothing else of this thread runs meanwhile.
 * A thread that cannot come back would do everything else in the wrong namespace, hence the abort.
 */
export function inNamespace<T>(namespaceFd: number, body: () => T extends PromiseLike<unknown> ? never : T): T {
  if (away) throw new KeepwardError('internal', 'inNamespace is not re-entrant')
  try {
    // Node.js opens with O_CLOEXEC. Of the thread, not of the process: a worker has its own namespace.
    home ??= openSync('/proc/thread-self/ns/net', 'r')
    native().setns(namespaceFd)
  } catch (cause) {
    throw new KeepwardError(codeOf(cause, 'namespace-failed'), 'Cannot enter a network namespace', {
      cause,
      hint: 'CAP_SYS_ADMIN is needed',
    })
  }
  away = true
  try {
    return body()
  } finally {
    comeBack(home)
    away = false
  }
}

let home: number | undefined
let away = false

function comeBack(fd: number): void {
  try {
    native().setns(fd)
  } catch (error) {
    process.stderr.write(`keepward: cannot return to the host's network namespace: ${String(error)}\n`)
    process.abort()
  }
}
