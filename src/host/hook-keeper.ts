import { KeepwardError } from '../base/error.ts'
import { openNamespace } from '../linux/netns.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { runHook, type HookPlace } from '../reactions/hook.ts'
import { keyOf, type HeardEvidence, type News } from '../router/hook.ts'
import { hookRoles, type Hook, type HookRole, type RouterId, type RouterSpec } from '../router/spec.ts'
import { hookDigest } from './hook-digest.ts'
import { Lanes } from './lanes.ts'

export type HookHome = Pick<SafeDir, 'readText' | 'write'>

const fileName = 'hooks.json'

/**
 * The hooks of all routers: of each router one at a time. What each heard last is kept on disk for as long as the boot, so that an agent
 * that comes back neither repeats what was heard nor leaves out what was not.
 */
export class HookKeeper {
  readonly #place: Omit<HookPlace, 'namespaceFd' | 'signal'>
  readonly #lanes = new Lanes()
  readonly #aborts = new Map<RouterId, AbortController>()

  constructor(place: Omit<HookPlace, 'namespaceFd' | 'signal'>) {
    this.#place = place
  }

  /** What the hooks that the router declares heard. */
  async heard({ hooks }: RouterSpec, home: HookHome): Promise<readonly HeardEvidence[]> {
    if (hooks.length === 0) return []
    const keys = hooks.map(keyOf)
    return parseHeard(await home.readText(fileName)).filter(({ hook }) => keys.includes(hook))
  }

  /**
   * Have it hear the news, unless it has. Answers what it said. Throws `hook-undeclared`, or what {@link runHook} throws. One that did not
   * end well has not heard.
   */
  async run(
    spec: RouterSpec,
    { place, digest }: { readonly place: number; readonly digest: string },
    news: News & { readonly role: HookRole },
    home: HookHome,
  ): Promise<string> {
    const hook = spec.hooks[place]
    if (hook?.on.includes(news.role) !== true || hookDigest(keyOf(hook)) !== digest)
      throw new KeepwardError(
        'hook-undeclared',
        `Router ${spec.id} declares no such hook ${place} for role ${news.role}`,
      )
    const abort = this.#abortOf(spec.id)
    return this.#lanes.of(spec.id)(async () => {
      const heard = await this.heard(spec, home)
      const key = keyOf(hook)
      // By the agent before the one that asks.
      if (heard.some((one) => one.hook === key && one.sequence === news.sequence && one.role === news.role)) return ''
      const said = await this.#runIn(spec, hook, news, abort.signal)
      const { role, sequence } = news
      const next = [...heard.filter((one) => one.hook !== key), { hook: key, role, sequence }]
      await home.write(fileName, JSON.stringify({ version: 1, heard: next }))
      return said
    })
  }

  /** Kill what runs for a router, and wait for its end. */
  async end(router: RouterId): Promise<void> {
    this.#aborts.get(router)?.abort()
    await this.#lanes.of(router)(() => undefined)
    this.#aborts.delete(router)
    this.#lanes.forget(router)
  }

  /** Kill all that runs. */
  close(): void {
    for (const abort of this.#aborts.values()) abort.abort()
  }

  async #runIn(spec: RouterSpec, hook: Hook, news: News, signal: AbortSignal): Promise<string> {
    if (signal.aborted) throw new KeepwardError('hook-failed', 'its router is removed, or keepward-host ends')
    if (hook.namespace === 'host') return runHook(hook, spec, news, { ...this.#place, namespaceFd: undefined, signal })
    using namespace = openNamespace(spec.namespace)
    return await runHook(hook, spec, news, { ...this.#place, namespaceFd: namespace.fd, signal })
  }

  #abortOf(router: RouterId): AbortController {
    const known = this.#aborts.get(router)
    if (known !== undefined) return known
    const made = new AbortController()
    this.#aborts.set(router, made)
    return made
  }
}

/** A file that is not of our form says nothing: then each hears the role anew. */
function parseHeard(text: string | undefined): HeardEvidence[] {
  try {
    const found = JSON.parse(text ?? '') as { version: number; heard: HeardEvidence[] }
    return found.version === 1 ? found.heard.filter(isHeard) : []
  } catch {
    return []
  }
}

const isHeard = ({ hook, role, sequence }: HeardEvidence): boolean =>
  typeof hook === 'string' && hookRoles.includes(role) && Number.isInteger(sequence)
