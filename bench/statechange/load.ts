import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { KeepwardError } from '../../src/base/error.ts'
import { run } from '../../src/linux/run.ts'

/** What the senders of state changes are told; see load/load.h. */
export type Load = { readonly clients: number; readonly uid?: number } & (
  | { readonly mode: 'close' | 'kept'; readonly seconds: number }
  | { readonly mode: 'burst' }
  | { readonly mode: 'paced'; readonly seconds: number; readonly everyMs: number }
)

/** What came of it. Times and rate are of answers with 200 alone; null when there was none. */
export interface Sent {
  readonly answered: number
  readonly rate: number
  /** From the first connect to the last answer. */
  readonly lastMs: number
  /** Connects that a full backlog turned away, each tried again. */
  readonly again: number
  /** Of a trickle: requests that were due while all senders waited for an answer. */
  readonly skipped: number
  /** Answers of the sender that got the fewest, and the most. */
  readonly leastServed: number
  readonly mostServed: number
  readonly p50Us: number | null
  readonly p99Us: number | null
  readonly p999Us: number | null
  readonly maxUs: number | null
  /** Answers that were not 200, by status. */
  readonly not200: Readonly<Record<string, number>>
  /** Requests without an answer, by what happened. */
  readonly errors: Readonly<Record<string, number>>
  /** Why the last connect failed; empty when none did. */
  readonly connectError: string
}

/** 2,000 routers take turns, of which the world's own have the first numbers. */
const routerWords = ['--router-id', 'r#', '--routers', '2000']

export function loadWords(socket: string, load: Load): string[] {
  return [
    ...['--socket', socket, '--mode', load.mode, '--clients', String(load.clients)],
    ...('seconds' in load ? ['--seconds', String(load.seconds)] : []),
    ...('everyMs' in load ? ['--every-ms', String(load.everyMs)] : []),
    ...(load.uid === undefined ? [] : ['--uid', String(load.uid)]),
    ...routerWords,
  ]
}

/** Compile the senders into a directory; returns the program. Throws `lab-failed` without a C compiler. */
export async function buildLoad(directory: string): Promise<string> {
  const sources = new URL('load/', import.meta.url).pathname
  const files = readdirSync(sources).filter((file) => file.endsWith('.c'))
  const program = join(directory, 'load')
  const argv = ['gcc', '-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', program]
  await run([...argv, ...files.map((file) => join(sources, file))], { timeoutMs: 60_000 }).catch((error: unknown) => {
    if (!(error instanceof KeepwardError) || error.code !== 'command-missing') throw error
    throw new KeepwardError('lab-failed', 'The load is sent by a program in C, and there is no compiler', {
      cause: error,
      hint: 'apt-get install gcc libc6-dev',
    })
  })
  return program
}

export async function sendLoad(program: string, socket: string, load: Load): Promise<Sent> {
  const timeoutMs = 30_000 + ('seconds' in load ? load.seconds * 1000 : 0)
  const { stdout } = await run([program, ...loadWords(socket, load)], { timeoutMs })
  return JSON.parse(stdout) as Sent
}

/** Requests that did not end with 200, and those of a trickle that could not begin. */
export function failuresOf({ not200, errors, skipped }: Sent): number {
  return [...Object.values(not200), ...Object.values(errors), skipped].reduce((sum, count) => sum + count, 0)
}
