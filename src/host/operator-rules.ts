import { KeepwardError } from '../base/error.ts'
import type { NftTable } from '../linux/nftables.ts'
import { readRootText } from '../linux/root-file.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { RouterId, RouterSpec } from '../router/spec.ts'
import type { Table } from './operation.ts'
import { tryRules, type Surroundings } from './try-rules.ts'

const maxBytes = 1024 * 1024
/** Bytes that are no UTF-8 are three in a copy, each; and it has one line end more. */
const maxCopyBytes = 3 * maxBytes + 1

/**
 * The operators' own rules, as their files were when the config was taken over: like the config itself, a file that somebody edits is
 * none that runs until it is applied. Copies that root alone can write have what was taken over across a restart.
 */
export class OperatorRules {
  readonly #copies: SafeDir
  readonly #texts = new WeakMap<RouterSpec, string | KeepwardError>()
  /** By text and surroundings; only what will not change. */
  readonly #tried = new Map<string, Promise<readonly NftTable[]>>()

  constructor(copies: SafeDir) {
    this.#copies = copies
  }

  /** The routers of the table, with the rules that are wanted from now on. One whose file cannot be read is no error until it is asked for. */
  async take(table: Table | 'nothing'): Promise<readonly RouterSpec[]> {
    if (table === 'nothing') {
      await this.#dropOthers([])
      return []
    }
    const kept = new Map<RouterId, string | KeepwardError>()
    if (table.again === true) for (const { id } of table.routers) await this.#readCopy(id, kept)
    const taken = this.#withTexts(table.routers, (router, file) => kept.get(router.id) ?? readNow(router, file))
    await this.#keepCopies(taken.filter(({ id }) => !kept.has(id)))
    if (table.again !== true) await this.#dropOthers(taken)
    return taken
  }

  /** The routers of the table with their files as they are now. Throws what keeps any of them from being put in force. */
  async tried({ routers }: Table): Promise<readonly RouterSpec[]> {
    const taken = this.#withTexts(routers, readNow)
    for (const router of taken) {
      const text = this.textOf(router)
      if (text !== undefined) await this.tablesOf(text, router)
    }
    return taken
  }

  /** Undefined: none are wanted. Throws why they cannot be read. */
  textOf(router: RouterSpec): string | undefined {
    const text = this.#texts.get(router)
    if (text instanceof KeepwardError) throw text
    return text
  }

  /** The tables that the rules make. Throws `packet-filter-refused`. */
  async tablesOf(
    text: string,
    { id, interfaces, packetFilter }: RouterSpec,
    strangers: readonly NftTable[] = [],
  ): Promise<readonly NftTable[]> {
    try {
      return await this.#try(text, { interfaces: interfaces.map(({ name }) => name), strangers })
    } catch (error) {
      if (!(error instanceof KeepwardError && error.code === 'packet-filter-refused')) throw error
      throw new KeepwardError(error.code, `The packet filter ${packetFilter?.file ?? ''} of router ${id} is refused`, {
        cause: error,
      })
    }
  }

  #withTexts(
    routers: readonly RouterSpec[],
    textOf: (router: RouterSpec, file: string) => string | KeepwardError,
  ): readonly RouterSpec[] {
    this.#tried.clear()
    return routers.map((router) => {
      if (router.packetFilter === undefined) return router
      // Another object: what runs and what is only looked at may be of one config.
      const taken = { ...router }
      this.#texts.set(taken, textOf(router, router.packetFilter.file))
      return taken
    })
  }

  async #readCopy(id: RouterId, into: Map<RouterId, string | KeepwardError>): Promise<void> {
    try {
      const text = await this.#copies.readText(id, { maxBytes: maxCopyBytes })
      if (text !== undefined) into.set(id, text)
    } catch (cause) {
      into.set(id, asKeepwardError(cause, `Cannot read what was taken over as the packet filter of router ${id}`))
    }
  }

  /** Rules that cannot be kept are not put in force: another start would not know them. */
  async #keepCopies(routers: readonly RouterSpec[]): Promise<void> {
    for (const router of routers) {
      const text = this.#texts.get(router)
      if (typeof text !== 'string') continue
      try {
        await this.#copies.write(router.id, text)
      } catch (cause) {
        this.#texts.set(router, asKeepwardError(cause, `Cannot keep the packet filter of router ${router.id}`))
      }
    }
  }

  /** One that cannot be removed is read by nobody before it is written anew. */
  async #dropOthers(routers: readonly RouterSpec[]): Promise<void> {
    const names = new Set(await this.#copies.list().catch(() => []))
    for (const { id, packetFilter } of routers) if (packetFilter !== undefined) names.delete(id)
    for (const name of names) await this.#copies.remove(name).catch(() => undefined)
  }

  #try(text: string, surroundings: Surroundings): Promise<readonly NftTable[]> {
    const key = JSON.stringify([surroundings, text])
    const known = this.#tried.get(key)
    if (known !== undefined) return known
    const tried = tryRules(text, surroundings)
    this.#tried.set(key, tried)
    tried.catch((error: unknown) => {
      if (!(error instanceof KeepwardError && error.code === 'packet-filter-refused')) this.#tried.delete(key)
    })
    return tried
  }
}

function readNow({ id }: RouterSpec, file: string): string | KeepwardError {
  try {
    // nft(8) takes no comment that ends without one.
    return `${readRootText(file, maxBytes)}\n`
  } catch (cause) {
    return asKeepwardError(cause, `Cannot read the packet filter of router ${id}`)
  }
}

const asKeepwardError = (cause: unknown, message: string): KeepwardError =>
  new KeepwardError(cause instanceof KeepwardError ? cause.code : 'file-failed', message, { cause })
