import type { Clock, Instant } from '../base/instant.ts'
import { addressFromBytes } from '../base/address.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { openNamespace, type Namespace } from '../linux/netns.ts'
import { applyRuleset, openNftables, type Nftables, type NftTable, type SetElement } from '../linux/nftables.ts'
import type { FilterEvidence, Stranger, TableEvidence, TablesEvidence } from '../router/evidence.ts'
import { tableNames, type TableName } from '../router/operation.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { flowTable, renderFlows } from './flow-table.ts'
import { natTable, renderNat } from './nat-table.ts'
import { filterTable, renderFilter, strangerMemoryMs, strangerSets } from './vrrp-filter.ts'

/** One concern of the packet filter, with a table of its own. */
interface Concern {
  readonly table: NftTable
  /** The table in the language of nft(8), canonical: equal text is equal meaning. Undefined: there is to be none. */
  readonly render: (spec: RouterSpec) => string | undefined
}

const concerns: Readonly<Record<TableName, Concern>> = {
  vrrp: { table: { family: 'inet', name: filterTable }, render: renderFilter },
  nat: { table: { family: 'inet', name: natTable }, render: renderNat },
  flows: { table: { family: 'inet', name: flowTable }, render: renderFlows },
}

/** What was put in force: the text, and how the kernel shows it. */
interface InForce {
  readonly text: string
  readonly fingerprint: string
}

/** Of one router. */
type Kept<T> = Map<TableName, T>

/**
 * Puts the tables of all routers in force and sees that they stay so. What the kernel shows is compared with what
 * it showed just after; an agent that has just started knows nothing of that and puts each in force once more, without a gap.
 */
export class TableKeeper {
  readonly #clock: Clock
  readonly #inForce = new Map<RouterId, Kept<InForce>>()
  readonly #failures = new Map<RouterId, Kept<{ readonly why: string; readonly at: Instant }>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  look(spec: RouterSpec): TablesEvidence {
    const strangers: Stranger[] = []
    const ready = inside(spec, (nftables) => {
      const found = tableNames.filter((name) => this.#isReady(spec, name, nftables))
      if (found.includes('vrrp')) strangers.push(...readStrangers(nftables, this.#clock()))
      return found
    })
    const evidenceOf = (name: TableName): TableEvidence => {
      if (ready === undefined ? concerns[name].render(spec) === undefined : ready.includes(name))
        return { kind: 'ready' }
      return { kind: 'missing', failure: this.#failures.get(spec.id)?.get(name) }
    }
    const vrrp = evidenceOf('vrrp')
    const filter: FilterEvidence = vrrp.kind === 'ready' ? { ...vrrp, strangers } : vrrp
    return { vrrp: filter, nat: evidenceOf('nat'), flows: evidenceOf('flows') }
  }

  /**
   * Put a table in force, or away, unless it is so. What hinders is no error of this call, since the router is to run without it then:
   * it is seen by looking. Throws `namespace-missing` and `config-invalid`.
   */
  async ensure(spec: RouterSpec, name: TableName): Promise<void> {
    const text = concerns[name].render(spec)
    using namespace = openNamespace(spec.namespace)
    if (inside(spec, (nftables) => this.#isReady(spec, name, nftables)) === true) return
    try {
      const fingerprint = await putInForce(namespace, name, text)
      if (text === undefined || fingerprint === undefined) this.#inForce.get(spec.id)?.delete(name)
      else of(this.#inForce, spec.id).set(name, { text, fingerprint })
      this.#failures.get(spec.id)?.delete(name)
    } catch (error) {
      this.#inForce.get(spec.id)?.delete(name)
      of(this.#failures, spec.id).set(name, { why: describeError(error), at: this.#clock() })
    }
  }

  forget(router: RouterId): void {
    this.#inForce.delete(router)
    this.#failures.delete(router)
  }

  #isReady(spec: RouterSpec, name: TableName, nftables: Nftables): boolean {
    const { table, render } = concerns[name]
    const text = render(spec)
    const known = this.#inForce.get(spec.id)?.get(name)
    if (text !== undefined && known?.text !== text) return false
    return nftables.fingerprint(table) === (text === undefined ? undefined : known?.fingerprint)
  }
}

/** The namespace keeps what somebody else made in it; our tables go. */
export async function removeTables(namespace: Namespace): Promise<void> {
  using nftables = openNftables(namespace.fd)
  const there = Object.values(concerns).filter(({ table }) => nftables.fingerprint(table) !== undefined)
  if (there.length > 0) await applyRuleset(namespace.fd, there.map(removal).join(''))
}

/** Its table goes, if it is there, and nothing else. Added first, so that there is one to delete. */
const removal = ({ table: { family, name } }: Concern): string =>
  `add table ${family} ${name}\ndelete table ${family} ${name}\n`

/** As one transaction, in place of what is there. Returns the fingerprint, of a table that is to be. */
async function putInForce({ fd }: Namespace, name: TableName, text: string | undefined): Promise<string | undefined> {
  const concern = concerns[name]
  // Before nft: a kernel without nf_tables says so better than its complaints do.
  using nftables = openNftables(fd)
  await applyRuleset(fd, `${removal(concern)}${text ?? ''}`)
  if (text === undefined) return undefined
  const fingerprint = nftables.fingerprint(concern.table)
  if (fingerprint !== undefined) return fingerprint
  throw new KeepwardError('netlink-failed', `Table ${concern.table.name} vanished as soon as it was made`)
}

/** Undefined where the namespace, or nf_tables in it, cannot be looked into. */
function inside<T>({ namespace: name }: RouterSpec, look: (nftables: Nftables) => T): T | undefined {
  try {
    using namespace = openNamespace(name)
    using nftables = openNftables(namespace.fd)
    return look(nftables)
  } catch (error) {
    if (error instanceof KeepwardError) return undefined
    throw error
  }
}

function of<T>(all: Map<RouterId, Kept<T>>, router: RouterId): Kept<T> {
  const known = all.get(router)
  if (known !== undefined) return known
  const made: Kept<T> = new Map()
  all.set(router, made)
  return made
}

const readStrangers = (nftables: Nftables, now: Instant): Stranger[] =>
  ([4, 6] as const).flatMap((family) =>
    nftables.elements(filterTable, strangerSets[family]).map((element) => readStranger(family, element, now)),
  )

/** The key holds the address and then the interface's name, padded with NUL (IFNAMSIZ). */
function readStranger(family: 4 | 6, { key, packets, expiresInMs }: SetElement, now: Instant): Stranger {
  const bytes = family === 4 ? 4 : 16
  const agoMs = Math.max(0, strangerMemoryMs - expiresInMs)
  return {
    source: addressFromBytes(key.subarray(0, bytes)),
    interface: key.toString('latin1', bytes).replace(/\0.*$/, ''),
    packets,
    lastSeen: { wallMs: now.wallMs - agoMs, monoMs: now.monoMs - agoMs },
  }
}
