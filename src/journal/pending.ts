import { KeepwardError } from '../base/error.ts'
import { canonicalJson, routerOf } from './record.ts'
import type { Entry, JournalRecord, Line, RecordKind } from './record.ts'

/** An appended entry that is not durable yet. */
export interface Pending {
  readonly line: Line
  readonly entry: Entry
  readonly settle: Settle
}

export interface Settle {
  readonly resolve: (record: JournalRecord) => void
  readonly reject: (error: KeepwardError) => void
}

/**
 * What waits for the disk, in order: one batch that the worker has and that never changes until it is durable, and the
 * rest. When more than `maxPending` wait, the rest is thinned, oldest first: refusals; claims that a newer one of the same router
 * follows; claims of routers that do not run here; records of our own that a newer one of the same subject supersedes; other old
 * ones. The newest transition and the newest claim of each router that runs here never go. One `gap` record takes the place of
 * the first that went and counts all of them.
 */
export class PendingQueue {
  readonly #maxPending: number
  #inFlight: readonly Pending[] = []
  #waiting: Pending[] = []
  #thinAt: number
  #lost = 0

  constructor(maxPending: number) {
    this.#maxPending = maxPending
    this.#thinAt = maxPending
  }

  get size(): number {
    return this.#inFlight.length + this.#waiting.length
  }

  get oldest(): Pending | undefined {
    return this.#inFlight[0] ?? this.#waiting[0]
  }

  get inFlight(): readonly Pending[] {
    return this.#inFlight
  }

  /** Entries given up since the journal was opened. */
  get lost(): number {
    return this.#lost
  }

  add(pending: Pending): void {
    this.#waiting.push(pending)
    if (this.size > this.#thinAt) this.#thin()
  }

  /** The batch in flight; when there is none, the next one, at most `limit` long, empty when nothing waits. */
  take(limit: number): readonly Pending[] {
    if (this.#inFlight.length === 0) this.#inFlight = this.#waiting.splice(0, limit)
    return this.#inFlight
  }

  /** The batch in flight is durable. */
  done(): void {
    this.#inFlight = []
    this.#thinAt = this.#maxPending
  }

  /** Reject all that is left. */
  abandon(error: KeepwardError): void {
    const left = [...this.#inFlight, ...this.#waiting]
    this.#inFlight = []
    this.#waiting = []
    for (const { settle } of left) settle.reject(error)
  }

  #thin(): void {
    const surplus = this.size - Math.floor(this.#maxPending * 0.75)
    const dropped = chooseDropped(this.#waiting, surplus)
    // Only newest transitions are left, one a router: more routers than the bound. Look again when a quarter more has come.
    this.#thinAt = Math.max(this.#maxPending, this.size - dropped.size + this.#maxPending / 4)
    if (dropped.size > 0) this.#drop(dropped)
  }

  #drop(dropped: ReadonlySet<Pending>): void {
    this.#lost += dropped.size
    const gap = makeGap(this.#waiting, dropped)
    this.#waiting = this.#waiting.flatMap((item) =>
      item === gap.replaces ? [gap.pending] : dropped.has(item) ? [] : [item],
    )
    for (const { line, settle } of dropped) settle.reject(superseded(line))
  }
}

function chooseDropped(waiting: readonly Pending[], surplus: number): Set<Pending> {
  const newest = new Map(waiting.map((item) => [subjectOf(item), item]))
  const isNewest = (item: Pending) => newest.get(subjectOf(item)) === item
  const refusals = waiting.filter(isOf('refusal'))
  const claims = waiting.filter(isOf('claim'))
  const repeated = claims.filter((item) => !isNewest(item))
  const foreign = claims.filter((item) => item.line.router === undefined)
  const superseded = waiting.filter((item) => isReplaceable(item) && !isNewest(item))
  const order = new Set([...refusals, ...repeated, ...foreign, ...superseded])
  const dropped = new Set([...order].slice(0, surplus))
  const others = waiting.filter(
    (item) => !dropped.has(item) && !isBookkeeping(item) && !(isLastWord(item) && isNewest(item)),
  )
  return new Set([...dropped, ...others.slice(0, surplus - dropped.size)])
}

const isOf =
  (kind: RecordKind) =>
  ({ line }: Pending): boolean =>
    line.kind === kind
const isLastWord = ({ line }: Pending): boolean => line.kind === 'transition' || line.kind === 'claim'
const isReplaceable = ({ line }: Pending): boolean => line.kind === 'transition' || line.kind === 'condition'
const isBookkeeping = ({ line }: Pending): boolean => line.kind === 'gap' || line.kind === 'retention'

/** A newer entry of the same subject makes an older one history: a router's role, one condition of a router. */
function subjectOf({ line, entry }: Pending): string {
  const code = line.kind === 'condition' ? entry.body['code'] : undefined
  return `${line.kind} ${routerOf(entry) ?? ''} ${typeof code === 'string' ? code : ''}`
}

/** The gap record for `dropped`: the one that still waits, grown, or a new one with the place and seq of the first dropped. */
function makeGap(waiting: readonly Pending[], dropped: ReadonlySet<Pending>): { pending: Pending; replaces: Pending } {
  const seqs = [...dropped].map(({ line }) => line.seq).sort((a, b) => a - b)
  const known = waiting.find(({ line }) => line.kind === 'gap')
  const replaces = known ?? waiting.find((item) => dropped.has(item))
  if (replaces === undefined) throw new KeepwardError('internal', 'A gap record was asked for without a dropped record')
  const { lost = 0, fromSeq = Infinity, toSeq = 0 } = (known?.entry.body ?? {}) as Partial<Record<string, number>>
  const body = {
    lost: lost + dropped.size,
    fromSeq: Math.min(fromSeq, seqs[0] ?? Infinity),
    toSeq: Math.max(toSeq, seqs.at(-1) ?? 0),
  }
  const entry: Entry = { kind: 'gap', router: undefined, at: replaces.entry.at, body }
  const line: Line = {
    ...replaces.line,
    kind: 'gap',
    router: undefined,
    routerSeq: undefined,
    body: canonicalJson(body),
  }
  const settle = known?.settle ?? { resolve: () => undefined, reject: () => undefined }
  return { pending: { line, entry, settle }, replaces }
}

const superseded = ({ seq, router }: Line): KeepwardError =>
  new KeepwardError(
    'journal-full',
    `Journal record ${seq}${router === undefined ? '' : ` of router ${router}`} was given up: too many wait for the disk`,
    { hint: 'the newest state of every router is kept; look at the disk of the journal' },
  )
