import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { systemClock } from '../../src/base/instant.ts'
import { openRealHost } from '../../src/host/real-host.ts'
import type { Host, HostEvent } from '../../src/host/operation.ts'
import { deleteNamespace, listNamespaces } from '../../src/linux/netns.ts'
import { openWatchSocket } from '../../src/linux/watch.ts'
import { WatchedHost } from '../../src/host/watched-host.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { id, prefix, routerSpec, table } from './router.ts'

export const ip = (...words: string[]): string =>
  execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe', timeout: 10_000 })

/** A real host of this test run alone: bridges, run directory and namespaces bear its number. */
export class RealHostUnderTest {
  readonly number: string
  readonly run: string
  readonly spec: RouterSpec
  readonly events: HostEvent[] = []
  host: Host
  #specs: readonly RouterSpec[]

  private constructor(number: string, run: string, spec: RouterSpec, open: (events: HostEvent[]) => Host) {
    this.number = number
    this.run = run
    this.spec = spec
    this.#specs = [spec]
    this.host = open(this.events)
  }

  static async open(): Promise<RealHostUnderTest> {
    const number = `${String(process.pid)}${String(++count)}`
    const run = mkdtempSync('/run/kwt-host-')
    for (const bridge of bridgesOf(number)) ip('link', 'add', bridge, 'up', 'type', 'bridge')
    const make = await maker(number, run)
    return new RealHostUnderTest(number, run, specFor(number), make)
  }

  get agent(): string {
    return agentOf(this.number)
  }

  /** Routers that the end must remove too. */
  also(...specs: readonly RouterSpec[]): void {
    this.#specs = [...this.#specs, ...specs]
  }

  /** Another agent's life on the same run directory. */
  async reopen(): Promise<void> {
    await this.host.close()
    this.events.length = 0
    this.host = (await maker(this.number, this.run))(this.events)
  }

  async end(): Promise<void> {
    await this.host.configure(table(this.#specs))
    for (const { id: router } of this.#specs) await this.host.perform({ verb: 'remove-router', router })
    await this.host.close()
    for (const name of listNamespaces()) if (name.startsWith(`kwt-${this.number}`)) await deleteNamespace(name)
    for (const bridge of bridgesOf(this.number)) ip('link', 'delete', bridge)
    rmSync(this.run, { recursive: true, force: true })
  }
}

let count = 0

const agentOf = (number: string): string => `kwt${number}`
const bridgesOf = (number: string): [ha: string, ext: string] => [`kwh${number}`, `kwe${number}`]

async function maker(number: string, run: string): Promise<(events: HostEvent[]) => Host> {
  const parts = { agent: agentOf(number), agentUid: 0, clock: systemClock }
  const openRoot = await openRealHost({ ...parts, runDir: SafeDir.open(run) })
  return (events) =>
    new WatchedHost(
      {
        ...parts,
        openRoot,
        watchFd: openWatchSocket(),
        onVaultTrouble: () => undefined,
        onVaultLogin: () => undefined,
      },
      (event) => events.push(event),
    )
}

function specFor(number: string): RouterSpec {
  const [ha, ext] = bridgesOf(number)
  const plain = { mtu: undefined, macAddress: undefined, acceptRouterAdvertisements: false }
  return routerSpec({
    id: id(`r${number}`),
    namespace: `kwt-${number}`,
    advertisementIntervalMs: 100,
    interfaces: [
      { ...plain, name: 'ha0', attach: { kind: 'bridge', bridge: ha }, addresses: [prefix('169.254.192.1/18')] },
      { ...plain, name: 'ext0', attach: { kind: 'bridge', bridge: ext }, addresses: [] },
    ],
  })
}
