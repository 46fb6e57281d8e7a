import type { Clock, Instant } from '../base/instant.ts'
import { addressFromBytes } from '../base/address.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { openNamespace, type Namespace } from '../linux/netns.ts'
import {
  applyRuleset,
  isSameTable,
  nftFamilies,
  openNftables,
  type Nftables,
  type NftTable,
  type SetElement,
} from '../linux/nftables.ts'
import type { FilterEvidence, Stranger, TableEvidence, TablesEvidence } from '../router/evidence.ts'
import { tableNames, type TableName } from '../router/operation.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { flowTable, renderFlows } from './flow-table.ts'
import { natTable, renderNat } from './nat-table.ts'
import type { OperatorRules } from './operator-rules.ts'
import { filterTable, renderFilter, strangerMemoryMs, strangerSets } from './vrrp-filter.ts'

/** One concern of the packet filter, with a table of its own. */
interface Concern {
  readonly table: NftTable
  /** What is to be in force, in the language of nft(8): equal text is equal meaning. Undefined: nothing. Throws why it cannot be had. */
  readonly textOf: (spec: RouterSpec) => string | undefined
  /** `strangers`: tables that are no concern's. */
  readonly prepare: (text: string, spec: RouterSpec, strangers: readonly NftTable[]) => Ruleset | Promise<Ruleset>
}

/** What makes a concern's own table, and others. */
interface Ruleset {
  readonly text: string
  readonly others: readonly NftTable[]
}

/** What was put in force: the text that was wanted, the tables that it made, and how the kernel shows them. */
interface InForce {
  readonly text: string
  readonly tables: readonly NftTable[]
  readonly fingerprint: string
}

/** Of the last try, and what was tried: undefined where that could not be had. */
interface Failure {
  readonly why: string
  readonly at: Instant
  readonly wanted: Wanted | undefined
}

interface Wanted {
  readonly text: string | undefined
}

/** Of one router. */
type Kept<T> = Map<TableName, T>

const tables = {
  vrrp: { family: 'inet', name: filterTable },
  nat: { family: 'inet', name: natTable },
  flows: { family: 'inet', name: flowTable },
  operator: { family: 'inet', name: 'keepward_operator' },
} as const satisfies Readonly<Record<TableName, NftTable>>

/**
 * Puts the tables of all routers in force and sees that they stay so. What the kernel shows is compared with what
 * it showed just after; an agent that has just started knows nothing of that and puts each in force once more, without a gap.
 */
export class TableKeeper {
  readonly #clock: Clock
  readonly #concerns: Readonly<Record<TableName, Concern>>
  readonly #inForce = new Map<RouterId, Kept<InForce>>()
  readonly #failures = new Map<RouterId, Kept<Failure>>()

  constructor(clock: Clock, rules: OperatorRules) {
    this.#clock = clock
    const alone = (text: string): Ruleset => ({ text, others: [] })
    this.#concerns = {
      vrrp: { table: tables.vrrp, textOf: renderFilter, prepare: alone },
      nat: { table: tables.nat, textOf: renderNat, prepare: alone },
      flows: { table: tables.flows, textOf: renderFlows, prepare: alone },
      operator: {
        table: tables.operator,
        textOf: (spec) => rules.textOf(spec),
        prepare: async (text, spec, strangers) => {
          const others = await rules.tablesOf(text, spec, strangers)
          return { text: listing(others) + text, others }
        },
      },
    }
  }

  look(spec: RouterSpec): TablesEvidence {
    const strangers: Stranger[] = []
    const ready = inside(spec, (nftables) => {
      const found = tableNames.filter((name) => this.#isReady(spec, name, nftables))
      if (found.includes('vrrp')) strangers.push(...readStrangers(nftables, this.#clock()))
      return found
    })
    const evidenceOf = (name: TableName): TableEvidence => {
      const wanted = this.#wants(spec, name)
      if (ready?.includes(name) ?? wantsNothing(wanted)) return { kind: 'ready' }
      const failure = this.#failures.get(spec.id)?.get(name)
      // What was not tried yet has not failed.
      const why =
        failure === undefined || failure.wanted?.text !== wanted?.text
          ? undefined
          : { why: failure.why, at: failure.at }
      // What was put there as it is wanted now, and is not there although it can be looked for, somebody took away.
      const known = this.#inForce.get(spec.id)?.get(name)
      const gone = ready !== undefined && known !== undefined && known.text === wanted?.text
      return { kind: 'missing', failure: why, ...(gone ? { gone } : {}) }
    }
    const vrrp = evidenceOf('vrrp')
    const filter: FilterEvidence = vrrp.kind === 'ready' ? { ...vrrp, strangers } : vrrp
    return { vrrp: filter, nat: evidenceOf('nat'), flows: evidenceOf('flows'), operator: evidenceOf('operator') }
  }

  /**
   * Put a table in force, or away, unless it is so. What hinders is no error of this call, since the router is to run without it then:
   * it is seen by looking. Throws `namespace-missing`.
   */
  async ensure(spec: RouterSpec, name: TableName): Promise<void> {
    using namespace = openNamespace(spec.namespace)
    if (inside(spec, (nftables) => this.#isReady(spec, name, nftables)) === true) return
    try {
      const kept = of(this.#inForce, spec.id)
      const made = await this.#putInForce(namespace, spec, name, kept.get(name))
      if (made === undefined) kept.delete(name)
      else kept.set(name, made)
      this.#failures.get(spec.id)?.delete(name)
    } catch (error) {
      const [why, at, wanted] = [describeError(error), this.#clock(), this.#wants(spec, name)]
      of(this.#failures, spec.id).set(name, { why, at, wanted })
    }
  }

  forget(router: RouterId): void {
    this.#inForce.delete(router)
    this.#failures.delete(router)
  }

  #isReady(spec: RouterSpec, name: TableName, nftables: Nftables): boolean {
    const wanted = this.#wants(spec, name)
    const known = this.#inForce.get(spec.id)?.get(name)
    // Where somebody removed the table that names them, the others of an operator may still be there.
    if (wantsNothing(wanted)) return known === undefined && nftables.fingerprint(tables[name]) === undefined
    if (known === undefined || known.text !== wanted?.text) return false
    return fingerprintOf(nftables, known.tables) === known.fingerprint
  }

  /** Undefined where what is wanted cannot be had. */
  #wants(spec: RouterSpec, name: TableName): Wanted | undefined {
    try {
      return { text: this.#concerns[name].textOf(spec) }
    } catch (error) {
      if (error instanceof KeepwardError) return undefined
      throw error
    }
  }

  /** As one transaction, in place of what is there. */
  async #putInForce(
    { fd }: Namespace,
    spec: RouterSpec,
    name: TableName,
    before: InForce | undefined,
  ): Promise<InForce | undefined> {
    const { table, textOf, prepare } = this.#concerns[name]
    // Before nft: a kernel without nf_tables says so better than its complaints do.
    using nftables = openNftables(fd)
    const wanted = textOf(spec)
    const removed = ours(nftables, table, before?.tables)
    const ruleset = wanted === undefined ? undefined : await prepare(wanted, spec, strangersIn(nftables, removed))
    await applyRuleset(fd, removal(table, removed) + (ruleset?.text ?? ''))
    if (wanted === undefined || ruleset === undefined) return undefined
    const made = [table, ...ruleset.others]
    const fingerprint = fingerprintOf(nftables, made)
    if (fingerprint !== undefined) return { text: wanted, tables: made, fingerprint }
    throw new KeepwardError('netlink-failed', `A table of ${table.name} vanished as soon as it was made`)
  }
}

/** The namespace keeps what somebody else made in it; our tables go. */
export async function removeTables(namespace: Namespace): Promise<void> {
  using nftables = openNftables(namespace.fd)
  const texts = Object.values(tables)
    .filter((table) => nftables.fingerprint(table) !== undefined)
    .map((table) => removal(table, ours(nftables, table)))
  if (texts.length > 0) await applyRuleset(namespace.fd, texts.join(''))
}

/** The table that says which tables are an operator's: an empty chain each, so that the kernel keeps it and it changes with them as one. */
const listing = (others: readonly NftTable[]): string =>
  [
    `table inet ${tables.operator.name} {`,
    ...others.map((one) => `  chain ${one.family}/${one.name} {\n  }`),
    '}',
    '',
  ].join('\n')

/** What is there of a concern beside its own table: what that lists, or made before if it was lost. */
function ours(nftables: Nftables, table: NftTable, before: readonly NftTable[] = []): NftTable[] {
  const listed = nftables.chains(table).flatMap((chain) => {
    const family = nftFamilies.find((one) => chain.startsWith(`${one}/`))
    return family === undefined ? [] : [{ family, name: chain.slice(family.length + 1) }]
  })
  const known = [...listed, ...before]
  return nftables.tables().filter((one) => !isSameTable(one, table) && known.some((other) => isSameTable(one, other)))
}

/** Of others, beside which ours stand. */
const strangersIn = (nftables: Nftables, own: readonly NftTable[]): NftTable[] =>
  nftables
    .tables()
    .filter((one) => ![...Object.values(tables), ...own].some((other: NftTable) => isSameTable(one, other)))

/** A concern's tables go. Its own is added first, so that there is one to delete. */
const removal = (table: NftTable, others: readonly NftTable[]): string =>
  [
    `add table ${table.family} ${table.name}`,
    ...[table, ...others].map(({ family, name }) => `delete table ${family} ${name}`),
    '',
  ].join('\n')

/** Undefined when one of them is not there. */
function fingerprintOf(nftables: Nftables, made: readonly NftTable[]): string | undefined {
  const all = made.map((one) => nftables.fingerprint(one))
  return all.includes(undefined) ? undefined : all.join(' ')
}

const wantsNothing = (wanted: Wanted | undefined): boolean => wanted !== undefined && wanted.text === undefined

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
