import { genesisHash, type JournalRecord, type RecordKind } from '../../src/journal/record.ts'

const epoch = { journal: 'e'.repeat(32), start: 1 }

/** A journal that is written as a test goes on. */
export class Records {
  readonly all: JournalRecord[] = []
  readonly #routerSeqs = new Map<string, number>()
  append(router: string | undefined, kind: RecordKind = 'transition'): JournalRecord {
    const routerSeq = router === undefined ? undefined : (this.#routerSeqs.get(router) ?? 0) + 1
    if (router !== undefined && routerSeq !== undefined) this.#routerSeqs.set(router, routerSeq)
    const made = record(this.all.length + 1, router, routerSeq, kind)
    this.all.push(made)
    return made
  }
  get heads(): Map<string, JournalRecord> {
    const transitions = this.all.filter(({ kind, router }) => kind === 'transition' && router !== undefined)
    return new Map(transitions.map((one) => [one.router ?? '', one]))
  }
  newest(router: string): JournalRecord | undefined {
    return this.all.findLast((one) => one.router === router && one.kind === 'transition')
  }
}

/** As the journal gives it. */
function record(
  seq: number,
  router: string | undefined,
  routerSeq: number | undefined,
  kind: RecordKind,
): JournalRecord {
  return {
    seq,
    kind,
    router,
    routerSeq,
    agent: 'a',
    epoch,
    boot: 'b',
    at: { wallMs: seq, monoMs: seq },
    late: false,
    body: {},
    previous: genesisHash,
    hash: genesisHash,
  }
}
