import { statSync } from 'node:fs'

/**
 * Who a path belongs to, to do what this user may do and no more: root that reads in a directory of another user's with its own
 * rights could be led anywhere. Anybody but root stays who he is (setresuid(2)).
 */
export class Owner {
  readonly #uid: number
  readonly #gid: number

  constructor(path: string) {
    const { uid, gid } = statSync(path, { throwIfNoEntry: false }) ?? { uid: 0, gid: 0 }
    this.#uid = uid
    this.#gid = gid
  }

  /** Every thread of the process is that user meanwhile, so the work must not wait for anything. */
  act<T>(work: () => T): T {
    if (process.geteuid?.() !== 0 || this.#uid === 0) return work()
    const groups = process.getgroups?.() ?? []
    const group = process.getegid?.() ?? 0
    process.setgroups?.([])
    process.setegid?.(this.#gid)
    process.seteuid?.(this.#uid)
    try {
      return work()
    } finally {
      process.seteuid?.(0)
      process.setegid?.(group)
      process.setgroups?.(groups)
    }
  }
}
