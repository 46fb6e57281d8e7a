import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { tasks } from './process.ts'

type Tasks = typeof tasks
type Name = keyof Tasks

/** Whose process it is. */
export interface As {
  readonly uid: number
  readonly gid: number
  readonly groups?: readonly number[]
}

/** From the test to the process, and back. */
export interface Order {
  readonly id: number
  readonly task: Name
  readonly input: unknown
}
export type Report =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly failure: string }

/** A process of another user that talks to a socket. Only root can start one of another user; disposing it ends it. */
export class Sender implements AsyncDisposable {
  readonly #child: ChildProcess
  #orders = 0

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start({ uid, gid, groups = [] }: As): Promise<Sender> {
    const child = fork(new URL('process.ts', import.meta.url), [String(uid), String(gid), ...groups.map(String)], {
      execArgv: [],
      serialization: 'advanced',
    })
    await once(child, 'message')
    return new Sender(child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Have it do one of its tasks. */
  async do<T extends Name>(task: T, input: Parameters<Tasks[T]>[0]): Promise<Awaited<ReturnType<Tasks[T]>>> {
    const id = ++this.#orders
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const hear = (report: Report) => {
      if (report.id !== id) return
      if ('failure' in report) reject(new Error(report.failure))
      else resolve(report.result)
    }
    const end = () => {
      reject(new Error(`the sender ended within ${task}`))
    }
    this.#child.on('message', hear)
    this.#child.on('exit', end)
    try {
      this.#child.send({ id, task, input } satisfies Order)
      return (await promise) as Awaited<ReturnType<Tasks[T]>>
    } finally {
      this.#child.off('message', hear)
      this.#child.off('exit', end)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
