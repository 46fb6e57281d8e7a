import { systemClock, type Clock } from '../../src/base/instant.ts'
import { FakeHost } from '../../src/host/fake-host.ts'
import type { Host, HostEvent, AgentOperation } from '../../src/host/operation.ts'
import type { RouterId } from '../../src/router/spec.ts'

/** What outlives an agent: a FakeHost, and the clock of its boot. */
export class World {
  readonly clock: Clock
  readonly host: FakeHost
  /** Called before each operation: what it gives is waited for, what it throws is how the operation fails. */
  intercept: (operation: AgentOperation) => Promise<unknown> | undefined = () => undefined
  /** Called before each look at the kernel; false: the kernel does not answer. */
  lets: (router: RouterId) => boolean = () => true
  /** Asked for each event; false: it is lost on its way to the agent. */
  hears: (event: HostEvent) => boolean = () => true
  #emit: (event: HostEvent) => void = () => undefined
  #aheadMs = 0
  #wallMs = 0
  #generation = 0

  constructor() {
    this.clock = () => {
      const { wallMs, monoMs } = systemClock()
      return { wallMs: wallMs + this.#aheadMs + this.#wallMs, monoMs: monoMs + this.#aheadMs }
    }
    this.host = new FakeHost(this.clock, (event) => {
      if (this.hears(event)) this.#emit(event)
    })
  }

  /** From now on this agent hears of the world and acts on it. */
  attach(emit: (event: HostEvent) => void): Host {
    this.#emit = emit
    const mine = ++this.#generation
    const { host } = this
    const isMine = () => mine === this.#generation
    return {
      configure: (table) => host.configure(table),
      stage: (table) => host.stage(table),
      perform: async (operation) => {
        if (!isMine()) return new Promise(() => undefined)
        await this.intercept(operation)
        return host.perform(operation)
      },
      recheck: (router) => (isMine() && this.lets(router) ? host.recheck(router) : Promise.resolve()),
      counters: () => host.counters(),
      close: () => Promise.resolve(),
    }
  }

  /** The agent hears this, whatever is so. */
  inject(event: HostEvent): void {
    this.#emit(event)
  }

  /** Nobody hears or acts. */
  detach(): void {
    this.#generation += 1
    this.#emit = () => undefined
  }

  /** Both clocks go on by so much. */
  passTime(ms: number): void {
    this.#aheadMs += ms
  }

  /** Somebody sets the wall clock: it alone jumps by so much. */
  setWall(ms: number): void {
    this.#wallMs += ms
  }

  /** How often the operation was asked for, e.g. `start-keepalived r1`. */
  count(operation: string): number {
    return this.host.performed.filter((one) => one === operation).length
  }
}
