import { KeepwardError } from '../base/error.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import type { OwnedRouter } from './operation.ts'

/** Which routers are wanted, in which namespace each is now, and which are to be compared with what is there. */
export class RouterTable {
  #wanted: ReadonlyMap<RouterId, RouterSpec> = new Map()
  #staged: ReadonlyMap<RouterId, RouterSpec> = new Map()
  /** The namespaces of routers that the config dropped or moved, until they are removed there. */
  readonly #retired = new Map<RouterId, string>()

  configure(routers: readonly RouterSpec[]): void {
    const next = byId(routers)
    for (const [id, { namespace }] of this.#wanted) {
      // The first one stays: only there something may have been made.
      if (next.get(id)?.namespace !== namespace && !this.#retired.has(id)) this.#retired.set(id, namespace)
    }
    // What is left of it there is wanted again.
    for (const [id, namespace] of this.#retired) {
      if (next.get(id)?.namespace === namespace) this.#retired.delete(id)
    }
    this.#wanted = next
  }

  stage(routers: readonly RouterSpec[]): void {
    this.#staged = byId(routers)
  }

  /** Found in the kernel, and wanted nowhere or elsewhere. */
  retireStrays(owned: readonly OwnedRouter[]): void {
    for (const { router, namespace } of owned) {
      if (this.#wanted.get(router)?.namespace !== namespace) this.#retired.set(router, namespace)
    }
  }

  /** Nothing is left of it in its former namespace. */
  removed(router: RouterId): void {
    this.#retired.delete(router)
  }

  /** Throws `router-unknown`. */
  wanted(router: RouterId): RouterSpec {
    const spec = this.#wanted.get(router)
    if (spec === undefined) throw unknownRouter(router)
    return spec
  }

  staged(router: RouterId): RouterSpec | undefined {
    return this.#staged.get(router)
  }

  /** What is wanted of the router where it is now: of one that is to leave its namespace, nothing. */
  wantedHere(router: RouterId): RouterSpec | undefined {
    return this.#retired.has(router) ? undefined : this.#wanted.get(router)
  }

  /** A retired router's former namespace comes first: it must be removed before the router may be made elsewhere. */
  namespaceOf(router: RouterId): string | undefined {
    return this.#retired.get(router) ?? this.#wanted.get(router)?.namespace
  }
}

export function unknownRouter(router: RouterId): KeepwardError {
  return new KeepwardError('router-unknown', `Neither the config nor the kernel knows a router ${router}`)
}

const byId = (routers: readonly RouterSpec[]): ReadonlyMap<RouterId, RouterSpec> =>
  new Map(routers.map((spec) => [spec.id, spec]))
