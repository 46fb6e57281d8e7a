import { createHash } from 'node:crypto'
import { fstatSync } from 'node:fs'
import { KeepwardError } from '../base/error.ts'
import { sharesControlGroup } from '../linux/control-group.ts'
import { bootId, childrenOf, openProcess, type ProcessHandle } from '../linux/process.ts'
import { openFirstWords, type FirstWords } from '../linux/first-words.ts'
import { CommandError, run } from '../linux/run.ts'
import { spawnDetached } from '../linux/spawn-detached.ts'
import type { ReactionEvidence, Stance } from '../router/reaction.ts'
import type { RouterSpec } from '../router/spec.ts'
import { cancelled, demandGoing } from './cancel.ts'
import type { Service, ServicePlan } from './service.ts'
import { adoptService, recordName, writeRecord, type ServiceHome } from './service-record.ts'
import { tell, type Telling } from './telling.ts'

/** Where a service works. */
export interface ServicePlace {
  readonly home: ServiceHome
  readonly namespaceFd: number
}

/** A program that cannot work ends at once; until then nobody knows that it started. */
const provesItselfMs = 150
/** No service of a primary may be seen on a backup for a second (docs/services.md): what does not end soon is killed. */
const endMs = 300
const killMs = 2000
const checkMs = 5000

/**
 * One service of one router: started in its namespace so that it outlives us, adopted by its record, ended when its stance wants none.
 * `onEnded`: it ended without being told to; with what it said, as far as that was kept.
 */
export class Daemon implements Disposable {
  readonly #service: Service
  readonly #onEnded: (lastWords: string) => void
  #held: Held | undefined
  /** One that is not held is looked for once, by its record: nobody but us starts one. */
  #searched = false

  constructor(service: Service, onEnded: (lastWords: string) => void) {
    this.#service = service
    this.#onEnded = onEnded
  }

  /** As which stance wants it. `spec`: undefined for a router that is to have none. Undefined: nothing wants it, and it is not there. */
  async look(spec: RouterSpec | undefined, home: ServiceHome): Promise<Omit<ReactionEvidence, 'reaction'> | undefined> {
    const held = await this.#find(home)
    const [primary, backup] = (['primary', 'backup'] as const).map((one) => fits(held, this.#planOf(spec, one, home)))
    if (held === undefined && primary && backup) return undefined
    const is = primary && backup ? 'both' : primary ? 'primary' : backup ? 'backup' : 'neither'
    return held !== undefined && isTied(held) ? { is, tied: true } : { is }
  }

  /**
   * Bring it to what the stance wants; what fits already is left alone. Throws `reaction-cancelled` when `signal` says so before
   * anything is done, `reaction-failed` when it does not start, or `reaction-refused` when its check finds fault.
   */
  async take(stance: Stance, spec: RouterSpec | undefined, place: ServicePlace, signal: AbortSignal): Promise<void> {
    const { home } = place
    const held = await this.#find(home)
    const plan = this.#planOf(spec, stance, home)
    if (fits(held, plan)) return
    demandGoing(signal)
    if (digestOf(plan) !== held?.digest) await this.#replace(plan, place, signal)
    if (plan?.tell === undefined) return
    demandGoing(signal)
    await this.#tell(plan.tell, place, signal)
  }

  /** It is no longer looked at, and runs on. */
  [Symbol.dispose](): void {
    this.#held?.unwatch()
    this.#held?.process.close()
    this.#held?.words?.[Symbol.dispose]()
    this.#held = undefined
  }

  #planOf(spec: RouterSpec | undefined, stance: Stance, home: ServiceHome): ServicePlan | undefined {
    return spec === undefined ? undefined : this.#service.plan(spec, stance, (name) => home.pathOf(name))
  }

  async #find(home: ServiceHome): Promise<Held | undefined> {
    if (this.#held?.process.alive() === true) return this.#held
    this[Symbol.dispose]()
    if (this.#searched) return undefined
    const found = await adoptService(this.#service, home)
    this.#searched = true
    return found && this.#hold(found.process, found.record)
  }

  async #replace(plan: ServicePlan | undefined, place: ServicePlace, signal: AbortSignal): Promise<void> {
    if (plan !== undefined) await this.#prepare(plan, place, signal)
    demandGoing(signal)
    await this.end(place.home)
    if (plan === undefined) return
    demandGoing(signal)
    await this.#start(plan, place, signal)
  }

  /** Its files, and what its own check says of them. */
  async #prepare(
    { files, check }: ServicePlan,
    { home, namespaceFd }: ServicePlace,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [name, text] of files) await home.write(name, text)
    if (check === undefined) return
    try {
      await run(check, { namespaceFd, timeoutMs: checkMs, signal })
    } catch (cause) {
      demandGoing(signal)
      const { name } = this.#service
      const refused = cause instanceof KeepwardError && cause.cause instanceof CommandError
      if (!refused) throw new KeepwardError('reaction-refused', `${name} does not judge its config`, { cause })
      // Its own words, without those of how it was run.
      throw new KeepwardError('reaction-refused', `${name} refuses its config: ${says(cause.cause)}`)
    }
  }

  async #start(plan: ServicePlan, { home, namespaceFd }: ServicePlace, signal: AbortSignal): Promise<void> {
    const { name } = this.#service
    for (const left of this.#service.leaves ?? []) await home.remove(left)
    const digest = digestOf(plan) ?? ''
    const expected = { bootId: bootId(), argv: plan.argv, networkNamespace: fstatSync(namespaceFd).ino }
    // From now on there may be one.
    await writeRecord(this.#service, home, { identity: expected, digest, user: plan.user })
    this.#searched = false
    using open = new DisposableStack()
    const words = open.use(openFirstWords())
    const { process } = await spawnDetached(plan.argv, { namespaceFd, output: words.fd })
    open.use(process)
    const identity = process.identity()
    if (identity !== undefined) await writeRecord(this.#service, home, { identity, digest })
    if (identity === undefined || (await Promise.race([process.ended(provesItselfMs), cancelled(signal)]))) {
      const why = words.read() || 'it said nothing'
      throw new KeepwardError('reaction-failed', `${name} ended as soon as it was started: ${why}`, {
        hint: `look for more in the system log; try it by hand: ${plan.argv.join(' ')}`,
      })
    }
    open.move()
    this.#hold(process, { digest, words })
    demandGoing(signal)
  }

  async #tell(telling: Telling, { home, namespaceFd }: ServicePlace, signal: AbortSignal): Promise<void> {
    const held = await this.#find(home)
    const identity = held?.process.identity()
    if (held === undefined || identity === undefined)
      throw new KeepwardError('reaction-failed', `${this.#service.name} ended before it was told its role`)
    // Half told is not told.
    held.told = undefined
    await writeRecord(this.#service, home, { identity, digest: held.digest })
    try {
      await tell(telling, namespaceFd, signal)
    } catch (cause) {
      demandGoing(signal)
      // It hangs, or holds on to an interface that was made anew: the next try starts another.
      await this.end(home)
      throw new KeepwardError('reaction-failed', `${this.#service.name} does not take ${telling.argv.join(' ')}`, {
        cause,
      })
    }
    held.told = telling.argv.join(' ')
    await writeRecord(this.#service, home, { identity, digest: held.digest, told: held.told })
  }

  /** None is fine. Throws `reaction-failed`. */
  async end(home: ServiceHome): Promise<void> {
    const held = await this.#find(home)
    if (held === undefined) return
    const { process } = held
    held.unwatch()
    using helpers = helpersOf(process.pid)
    process.signal(this.#service.endSignal)
    process.signal('SIGCONT')
    if (!(await process.ended(endMs))) {
      process.signal('SIGKILL')
      if (!(await process.ended(killMs))) throw notEnded(this.#service.name, process)
    }
    helpers.kill()
    this[Symbol.dispose]()
    await home.remove(recordName(this.#service))
  }

  #hold(
    process: ProcessHandle,
    { digest, told, words }: Pick<Held, 'digest' | 'told'> & Partial<Pick<Held, 'words'>>,
  ): Held {
    const known = this.#held
    // Two that looked at once found it both; one that looked while it was started knows nothing of its words.
    if (known?.process.alive() === true) {
      process.close()
      if (known.words === undefined) known.words = words
      else words?.[Symbol.dispose]()
      return known
    }
    const unwatch = process.onEnd(() => {
      const lastWords = held.words?.read() ?? ''
      this[Symbol.dispose]()
      this.#onEnded(lastWords)
    })
    const held: Held = { process, digest, told, words, unwatch }
    return (this.#held = held)
  }
}

/** The children of a service: radvd's ends when it sees that its parent did, which one that hangs never does. */
function helpersOf(pid: number): Disposable & { readonly kill: () => void } {
  const helpers = childrenOf(pid).flatMap((child) => openProcess(child) ?? [])
  return {
    kill: () => {
      for (const helper of helpers) helper.signal('SIGKILL')
    },
    [Symbol.dispose]: () => {
      for (const helper of helpers) helper.close()
    },
  }
}

function notEnded(name: string, process: ProcessHandle): KeepwardError {
  if (!process.alive()) return new KeepwardError('reaction-failed', `${name} ${process.pid} was let go before it ended`)
  const hint = 'the kernel holds it; see /proc/PID/stack'
  return new KeepwardError('reaction-failed', `${name} ${process.pid} outlives SIGKILL`, { hint })
}

interface Held {
  readonly process: ProcessHandle
  /** Of the plan that it was started with. */
  readonly digest: string
  /** Of one that an earlier life of ours started there are none. */
  words: FirstWords | undefined
  /** The command by which it was told its stance. */
  told?: string | undefined
  /** Undefined: nobody has looked. */
  tied?: boolean
  readonly unwatch: () => void
}

/** Whoever ends our control group ends it too: it could not leave, or was put there. */
const isTied = (held: Held): boolean => (held.tied ??= sharesControlGroup(held.process.pid))

const fits = (held: Held | undefined, plan: ServicePlan | undefined): boolean =>
  digestOf(plan) === held?.digest && plan?.tell?.argv.join(' ') === held?.told

const digestOf = (plan: ServicePlan | undefined): string | undefined =>
  plan &&
  createHash('sha256')
    .update(JSON.stringify([plan.argv, ...plan.files]))
    .digest('hex')

function says(cause: unknown): string {
  if (!(cause instanceof CommandError)) return 'it does not say why'
  return (cause.stderr.trim() || cause.stdout.trim() || cause.message).slice(0, 1000)
}
