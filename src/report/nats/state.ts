import type { JournalRecord } from '../../journal/record.ts'
import { isWrongRevision } from './failure.ts'
import { eventStream, eventSubject, stateBucket, stateSubject, streamOfBucket } from './layout.ts'
import type { Last, Link } from './link.ts'

/** How far ahead the clock of whoever wrote a state may be before it stands for nothing. */
const clockToleranceMs = 60_000
/** Two that write the same key at once are this agent twice, or a write that came late. */
const tries = 5

const stateStream = streamOfBucket(stateBucket)

type Told = Pick<JournalRecord, 'epoch' | 'seq' | 'at'>

/** The last state of each router, in the bucket: never an older one over a newer. */
export class States {
  readonly #agent: string
  /** By subject, the revision after our last write; one that is wrong costs a question. */
  readonly #revisions = new Map<string, number>()
  /** By subject, the number of our last write. */
  readonly #writes = new Map<string, number>()
  #count = 0

  constructor(agent: string) {
    this.#agent = agent
  }

  /** `isRepeat`: what is there is looked at before anything is written. */
  async put(link: Link, record: JournalRecord, data: Uint8Array, isRepeat: boolean): Promise<void> {
    const subject = stateSubject(this.#agent, record.router ?? '')
    let revision = isRepeat ? undefined : this.#revisions.get(subject)
    this.#revisions.delete(subject)
    this.#writes.set(subject, (this.#count += 1))
    for (let left = tries; ; left--) {
      const found = revision ?? (await this.#look(link, subject, record))
      if (typeof found === 'object') {
        this.#revisions.set(subject, found.isThere)
        return
      }
      try {
        this.#revisions.set(subject, await link.replace(stateStream, subject, data, found))
        return
      } catch (error) {
        if (!isWrongRevision(error) || left === 0) throw error
        revision = undefined
      }
    }
  }

  /** Upon which revision to write, or that there is no need to. */
  async #look(link: Link, subject: string, record: Told): Promise<number | { readonly isThere: number }> {
    const last = await link.last(stateStream, subject)
    if (last === undefined) return 0
    return isAsNew(last, record) ? { isThere: last.revision } : last.revision
  }

  /** Remove the keys of routers that are not among these, but for what was put since: those may have been added meanwhile. */
  async keepOnly(link: Link, routers: ReadonlySet<string>, keys: Promise<Iterable<string>>): Promise<void> {
    const since = this.#count
    const wanted = new Set([...routers].map((router) => stateSubject(this.#agent, router)))
    for (const subject of await keys) {
      if (wanted.has(subject)) continue
      const last = await link.last(stateStream, subject)
      if (last?.data === undefined || (this.#writes.get(subject) ?? 0) > since) continue
      this.#revisions.delete(subject)
      this.#writes.delete(subject)
      await link.remove(stateStream, subject, last.revision)
    }
  }
}

/** Whether the stream of events has this record of its router, or a newer one. */
export async function isTold(link: Link, agent: string, record: JournalRecord): Promise<boolean> {
  const last = await link.last(eventStream, eventSubject(agent, record.router ?? ''))
  return last !== undefined && isAsNew(last, record)
}

/**
 * Of one journal the sequence decides; of two, the moment. A moment that is still to come was written by a clock that was wrong, and
 * would stand for as long as it is.
 */
function isAsNew({ data }: Last, record: Told): boolean {
  const there = toldIn(data)
  if (there === undefined) return false
  if (there.epoch.journal === record.epoch.journal) return there.seq >= record.seq
  return there.at.wallMs > record.at.wallMs && there.at.wallMs < Date.now() + clockToleranceMs
}

function toldIn(data: Uint8Array | undefined): Told | undefined {
  if (data === undefined) return undefined
  try {
    const { epoch, seq, at } = JSON.parse(Buffer.from(data).toString('utf8')) as Partial<Told>
    const isWhole = typeof epoch?.journal === 'string' && typeof seq === 'number' && typeof at?.wallMs === 'number'
    return isWhole ? { epoch, seq, at } : undefined
  } catch {
    return undefined
  }
}
