import type { Clock, Instant } from '../base/instant.ts'
import type { Journal } from '../journal/journal.ts'
import { routerOf, type JournalRecord } from '../journal/record.ts'
import { isStale, type NotifierClaim } from '../router/notifier.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import type { AuditEntry } from '../statechange/audit.ts'
import type { Claim, Listener } from '../statechange/receiver.ts'
import type { StateChangeServer } from '../statechange/server.ts'
import type { ClaimView } from './api.ts'
import { readClaim } from './claim-record.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { Sender } from '../statechange/policy.ts'
import type { Executables } from './executables.ts'
import type { StateChangeFigures } from './metrics.ts'
import type { Recorder } from './recorder.ts'
import type { RouterQueue } from './router-queue.ts'

/** Where claims lead to. */
export interface ClaimsPlace {
  readonly journal: Journal
  readonly recorder: Recorder
  readonly executables: Executables
  readonly clock: Clock
  readonly boot: string
  queueOf(router: RouterId): RouterQueue | undefined
  queues(): readonly RouterQueue[]
  /** Soon, and not more often than is good. */
  lookAtKernel(queue: RouterQueue): void
  /** How often a notifier speaks that does not say it. */
  intervalMs(): number
}

/** What is waiting at the server. */
type Serving = Pick<StateChangeServer, 'messagesWaiting' | 'connectionsWaiting'>

const maxUnmatched = 1024
const maxSeen = 1024
/** So many claims of routers that are unknown here are searched for the last word on each. */
const maxSearched = 20_000
const pageSize = 1000

/**
 * What notifiers outside say, by the state-change server. A claim about a router that runs here makes it look; one about
 * any other is kept, shown as what it is, and handed on when that router appears.
 */
export class Claims implements Listener {
  readonly #place: ClaimsPlace
  /** Of routers that are not known here; the newest last. */
  readonly #unmatched = new Map<RouterId, NotifierClaim>()
  #server: Serving | undefined
  /** User and control group of those who spoke. */
  readonly #seen = new Set<string>()
  readonly #unwritten = new Set<Promise<void>>()

  constructor(place: ClaimsPlace) {
    this.#place = place
  }

  knows(router: RouterId): boolean {
    return this.#place.queueOf(router) !== undefined
  }

  canRecord(): boolean {
    return this.#place.journal.status.kind === 'ok'
  }

  take(claim: Claim): Promise<unknown> {
    const durable = this.#take(claim)
    // May be left alone, as the journal's own.
    durable.catch(() => undefined)
    return durable
  }

  lookAt(router: RouterId | 'all'): void {
    const place = this.#place
    const queues = router === 'all' ? place.queues() : [place.queueOf(router)]
    for (const queue of queues) if (queue !== undefined) place.lookAtKernel(queue)
  }

  /** Write down what was refused or limited. */
  audit(entry: AuditEntry): void {
    const id = entry.router === undefined ? undefined : parseRouterId(entry.router)
    const router = id !== undefined && this.knows(id) ? id : undefined
    this.#withExecutable(entry.sender, (executable) => {
      this.#place.recorder.claimRefused(entry, router, executable)
    })
  }

  /** Everything that was to be written down is handed to the journal. */
  async settled(): Promise<void> {
    await Promise.all(this.#unwritten)
  }

  /** The server whose messages these are, for the figures. */
  servedBy(server: Serving): void {
    this.#server = server
  }

  get figures(): StateChangeFigures {
    const { messagesWaiting = 0, connectionsWaiting = 0 } = this.#server ?? {}
    return { unmatched: this.#unmatched.size, messagesWaiting, connectionsWaiting }
  }

  /** A router is known from now on: what was said of it before is its own. */
  appeared(queue: RouterQueue): void {
    const claim = this.#unmatched.get(queue.id)
    this.#unmatched.delete(queue.id)
    if (claim !== undefined) queue.enqueue({ type: 'claimed', claim })
  }

  /**
   * Hear again what was said before the agent's start, so that a notifier that owes a message is noticed. Claims of an
   * earlier boot say nothing of this one. Rejects with `journal-failed`.
   */
  async restore(routers: readonly RouterId[]): Promise<void> {
    for (const record of await this.#lastForeign()) this.#hearAgain(record)
    for (const router of routers) {
      const [newest] = await this.#place.journal.read({ router, kind: 'claim', limit: 1, newestFirst: true })
      if (newest !== undefined) this.#hearAgain(newest)
    }
  }

  /** The last word on each router that was unknown here, the oldest first. */
  async #lastForeign(): Promise<JournalRecord[]> {
    const last = new Map<string, JournalRecord>()
    for (let until = Infinity, searched = 0; searched < maxSearched && last.size < maxUnmatched;) {
      const page = { router: null, kind: 'claim', until, limit: pageSize, newestFirst: true } as const
      const records = await this.#place.journal.read(page)
      for (const record of records) {
        const router = routerOf(record)
        if (router !== undefined && !last.has(router) && last.size < maxUnmatched) last.set(router, record)
      }
      searched += records.length
      until = (records.at(-1)?.seq ?? 0) - 1
      if (records.length < pageSize) break
    }
    return [...last.values()].reverse()
  }

  /** Claims of routers that are unknown here, the oldest first. */
  view(now: Instant): ClaimView[] {
    return [...this.#unmatched].map(([router, claim]) => {
      const { state, uid, pid, at } = claim
      const ageMs = now.monoMs - at.monoMs
      const stale = isStale(claim, this.#place.intervalMs(), now)
      return { router, state, uid, pid, atMs: at.wallMs, ageMs: Math.round(ageMs), stale }
    })
  }

  // Async, so that a journal that is closed rejects and does not throw.
  async #take(claim: Claim): Promise<unknown> {
    const { router, state, at, sender, intervalMs, count } = claim
    const decision = !this.knows(router) ? 'unmatched' : count > 1 ? 'gathered' : 'accepted'
    const durable = this.#place.recorder.claimTaken(claim, decision)
    this.#hear(router, { state, at, uid: sender.uid, pid: sender.pid, intervalMs })
    this.#sight(claim)
    return durable
  }

  /** What it runs is asked once for each user and control group, and no claim waits for it. */
  #sight(claim: Claim): void {
    const who = `${claim.sender.uid} ${claim.controlGroup}`
    if (this.#seen.has(who)) return
    this.#seen.add(who)
    const [oldest] = this.#seen
    if (this.#seen.size > maxSeen && oldest !== undefined) this.#seen.delete(oldest)
    this.#withExecutable(claim.sender, (executable) => {
      this.#place.recorder.senderSeen(claim, executable)
    })
  }

  #withExecutable(sender: Sender | undefined, write: (executable: Executable | undefined) => void): void {
    const written = this.#place.executables
      .of(sender)
      .then(write)
      .finally(() => {
        this.#unwritten.delete(written)
      })
    this.#unwritten.add(written)
  }

  #hearAgain(record: JournalRecord): void {
    const read = record.boot === this.#place.boot ? readClaim(record) : undefined
    if (read !== undefined) this.#hear(read.router, read.claim)
  }

  #hear(router: RouterId, claim: NotifierClaim): void {
    const queue = this.#place.queueOf(router)
    if (queue === undefined) this.#keep(router, claim)
    else queue.enqueue({ type: 'claimed', claim })
  }

  #keep(router: RouterId, claim: NotifierClaim): void {
    const known = this.#unmatched.get(router)
    if (known !== undefined && known.at.monoMs > claim.at.monoMs) return
    this.#unmatched.delete(router)
    this.#unmatched.set(router, claim)
    if (this.#unmatched.size <= maxUnmatched) return
    const [oldest] = this.#unmatched.keys()
    if (oldest !== undefined) this.#unmatched.delete(oldest)
  }
}
