import { Buckets } from '../base/bucket.ts'
import { connectionOf, type Executable } from '../linux/peer-executable.ts'
import type { Peer } from '../linux/unix-socket.ts'

/** A record does not wait for it any longer. */
const patienceMs = 250
/** What a storm of refusals asks for; the records of the rest are without it. */
const rate = { perSecond: 16, burst: 64 }

/** Asks what the processes behind connections run: evidence for records, never a ground for a decision. */
export class Executables {
  readonly #behind: (connection: number) => Promise<Executable | undefined>
  readonly #allowance = new Buckets<'all'>(rate, 1)

  constructor(behind: (connection: number) => Promise<Executable | undefined>) {
    this.#behind = behind
  }

  /** The connection may be closed as soon as this returns. Never rejects. */
  of(peer: Peer | undefined): Promise<Executable | undefined> {
    const connection = peer && connectionOf(peer)
    if (connection === undefined || !this.#allowance.take('all', performance.now())) return Promise.resolve(undefined)
    return inTime(this.#behind(connection))
  }
}

async function inTime(asked: Promise<Executable | undefined>): Promise<Executable | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, patienceMs, undefined)
  })
  try {
    return await Promise.race([asked, late])
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}
