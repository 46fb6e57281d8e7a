import { statSync } from 'node:fs'

/** Whose a path is, for a person; undefined where nobody may look, or nothing is. */
export function describeOwner(path: string): string | undefined {
  try {
    const { uid, mode } = statSync(path)
    return `uid ${uid}, mode ${(mode & 0o7777).toString(8)}`
  } catch {
    return undefined
  }
}

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
