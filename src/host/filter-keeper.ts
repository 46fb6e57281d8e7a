import type { Clock, Instant } from '../base/instant.ts'
import { addressFromBytes } from '../base/address.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { openNamespace, type Namespace } from '../linux/netns.ts'
import { applyRuleset, openNftables, type Nftables, type SetElement } from '../linux/nftables.ts'
import type { FilterEvidence, Stranger } from '../router/evidence.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import { filterChain, filterTable, removedFilter, renderFilter, strangerMemoryMs, strangerSets } from './vrrp-filter.ts'

/** What was put in force for a router: the text, and how the kernel shows it. */
interface InForce {
  readonly text: string
  readonly fingerprint: string
}

/**
 * Puts the VRRP filters of all routers in force and sees that they stay so. What the kernel shows is compared with what
 * it showed just after; an agent that has just started knows nothing of that and puts each in force once more, without a gap.
 */
export class FilterKeeper {
  readonly #clock: Clock
  readonly #inForce = new Map<RouterId, InForce>()
  readonly #failures = new Map<RouterId, { readonly why: string; readonly at: Instant }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  look(spec: RouterSpec): FilterEvidence {
    const missing = { kind: 'missing', failure: this.#failures.get(spec.id) } as const
    const known = this.#inForce.get(spec.id)
    if (known === undefined || known.text !== renderFilter(spec)) return missing
    const strangers = this.#inside(spec, (nftables) =>
      nftables.fingerprint(filterTable, filterChain) === known.fingerprint ? this.#strangers(nftables) : 'gone',
    )
    if (strangers === 'gone') return { ...missing, gone: true }
    return strangers === undefined ? missing : { kind: 'ready', strangers }
  }

  /**
   * Put it in force unless it is. What hinders is no error of this call, since the router is to run without it then: it is
   * seen by looking. Throws `namespace-missing` and `config-invalid`.
   */
  async ensure(spec: RouterSpec): Promise<void> {
    const text = renderFilter(spec)
    using namespace = openNamespace(spec.namespace)
    if (this.look(spec).kind === 'ready') return
    try {
      this.#inForce.set(spec.id, { text, fingerprint: await putInForce(namespace, text) })
      this.#failures.delete(spec.id)
    } catch (error) {
      this.#inForce.delete(spec.id)
      this.#failures.set(spec.id, { why: describeError(error), at: this.#clock() })
    }
  }

  forget(router: RouterId): void {
    this.#inForce.delete(router)
    this.#failures.delete(router)
  }

  /** Undefined where the namespace, or nf_tables in it, cannot be looked into. */
  #inside<T>({ namespace: name }: RouterSpec, look: (nftables: Nftables) => T): T | undefined {
    try {
      using namespace = openNamespace(name)
      using nftables = openNftables(namespace.fd)
      return look(nftables)
    } catch (error) {
      if (error instanceof KeepwardError) return undefined
      throw error
    }
  }

  #strangers(nftables: Nftables): Stranger[] {
    const now = this.#clock()
    return ([4, 6] as const).flatMap((family) =>
      nftables.elements(filterTable, strangerSets[family]).map((element) => readStranger(family, element, now)),
    )
  }
}

/** The namespace keeps what somebody else made in it; our table goes. */
export async function removeFilter(namespace: Namespace): Promise<void> {
  {
    using nftables = openNftables(namespace.fd)
    if (nftables.fingerprint(filterTable, filterChain) === undefined) return
  }
  await applyRuleset(namespace.fd, removedFilter)
}

async function putInForce({ fd }: Namespace, text: string): Promise<string> {
  // Before nft: a kernel without nf_tables says so better than its complaints do.
  using nftables = openNftables(fd)
  await applyRuleset(fd, text)
  const fingerprint = nftables.fingerprint(filterTable, filterChain)
  if (fingerprint !== undefined) return fingerprint
  throw new KeepwardError('netlink-failed', `Table ${filterTable} vanished as soon as it was made`)
}

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
