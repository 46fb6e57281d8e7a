import { fork } from 'node:child_process'
import { once } from 'node:events'
import { KeepwardError } from '../src/base/error.ts'
import { inNamespace } from '../src/linux/in-namespace.ts'
import { until } from './until.ts'
import type { World, WorldHost } from './world.ts'

/** A durable transition as a subscriber saw it; times of CLOCK_MONOTONIC, in milliseconds. */
export interface Seen {
  readonly seq: number
  readonly router: string
  readonly to: string
  readonly late: boolean
  /** When the agent had the evidence. */
  readonly atMs: number
  readonly seenMs: number
}

export interface Follower extends Disposable {
  /** Everything seen so far. */
  seen(): Promise<readonly Seen[]>
  /** Wait until so many have been seen since `from`; what is there at the deadline is what there is. */
  wait(count: number, from: number, deadlineMs: number): Promise<readonly Seen[]>
}

/** Subscribe to a host's journal from another process, from now on. */
export async function follow(world: World, host: WorldHost): Promise<Follower> {
  const { journal } = await world.status(host)
  return followBy('./subscriber.ts', [host.socket, String(journal.durableSeq)])
}

/** What another program sees, which tells it when it is asked. `fd`: the network namespace that it runs in. */
export async function followBy(program: string, words: readonly string[], fd?: number): Promise<Follower> {
  const start = () =>
    fork(new URL(program, import.meta.url).pathname, words, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
      serialization: 'advanced',
    })
  const child = fd === undefined ? start() : inNamespace(fd, start)
  const all: Seen[] = []
  const seen = async () => {
    if (!child.connected) throw new KeepwardError('lab-failed', 'The subscriber ended')
    child.send('seen')
    const [more] = (await once(child, 'message')) as [Seen[]]
    all.push(...more)
    return all
  }
  await seen()
  return {
    seen,
    wait: async (count, from, deadlineMs) => {
      const enough = async () => (await seen()).length >= from + count
      await until('all transitions are seen', deadlineMs, enough, 50).catch(() => undefined)
      return all.slice(from)
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

/** CLOCK_MONOTONIC in milliseconds: comparable between processes. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
