import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { parsePrefix, type Prefix } from '../../src/base/address.ts'
import { askKeepalived } from '../../src/keepalived/ask.ts'
import { installConfig } from '../../src/keepalived/config-file.ts'
import type { KeepalivedView } from '../../src/keepalived/dump.ts'
import { probeFeatures, type KeepalivedFeatures } from '../../src/keepalived/features.ts'
import { type FifoReader, readNotifyFifo } from '../../src/keepalived/fifo.ts'
import { startKeepalived, stopKeepalived } from '../../src/keepalived/process.ts'
import { renderConfig } from '../../src/keepalived/render.ts'
import { createNamespace, deleteNamespace, openNamespace } from '../../src/linux/netns.ts'
import type { ProcessHandle } from '../../src/linux/process.ts'
import { run } from '../../src/linux/run.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { parseRouterId, type RouterSpec } from '../../src/router/spec.ts'

export const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`${text} is no prefix`)
  return parsed
}

const id = parseRouterId('r1')
if (id === undefined) throw new Error('r1 is no router id')

export const marker = '169.254.0.7/24'

/** VRRPv3 at 0.1 s between 10.9.0.1 (priority 100) and 10.9.0.2 (priority 50); qr0 is not tracked. */
export function specOf(index: 1 | 2): RouterSpec {
  return {
    id: id as RouterSpec['id'],
    namespace: '',
    vrid: 7,
    vrrpVersion: 3,
    advertisementIntervalMs: 100,
    priority: index === 1 ? 100 : 50,
    preempt: { kind: 'never' },
    haInterface: 'ha0',
    interfaces: [
      {
        name: 'ha0',
        attach: { kind: 'existing' },
        addresses: [prefix(`10.9.0.${index}/24`)],
        mtu: undefined,
        macAddress: undefined,
        acceptRouterAdvertisements: false,
      },
    ],
    marker: prefix(marker),
    virtualAddresses: [
      { ...prefix('192.0.2.1/24'), interface: 'qr0' },
      { ...prefix('2001:db8::1/64'), interface: 'qr0' },
    ],
    announcements: { repeat: 3, delayS: 5, refreshS: 60, pauseMs: 0 },
    virtualRoutes: [
      { destination: prefix('198.51.100.0/24'), via: '192.0.2.9', interface: 'qr0', metric: undefined },
      { destination: prefix('::/0'), via: '2001:db8::9', interface: 'qr0', metric: undefined },
    ],
    advertise: { kind: 'unicast', source: `10.9.0.${index}`, peers: [`10.9.0.${3 - index}`], minTtl: undefined },
    routerAdvertisements: [],
    hooks: [],
    flaps: { changes: 10, windowMs: 60_000 },
    metadata: undefined,
    authentication: { kind: 'none' },
    trackedInterfaces: ['ha0'],
  }
}

/** One simulated host: a namespace with ha0 and qr0, whose outer ends are ports of bridges in a third namespace. */
export class Host {
  readonly index: 1 | 2
  readonly name: string
  readonly home: SafeDir
  readonly features: KeepalivedFeatures
  readonly fifoPath: string
  process: ProcessHandle | undefined
  spec: RouterSpec

  constructor(index: 1 | 2, name: string, home: SafeDir, features: KeepalivedFeatures, fifoPath: string) {
    this.index = index
    this.name = name
    this.home = home
    this.features = features
    this.fifoPath = fifoPath
    this.spec = specOf(index)
  }

  async install(change: Partial<RouterSpec> = {}): Promise<string> {
    this.spec = { ...this.spec, ...change }
    const text = renderConfig(this.spec, this.features, { fifoPath: this.fifoPath })
    await installConfig(this.home, text)
    return text
  }

  async start(change: Partial<RouterSpec> = {}): Promise<ProcessHandle> {
    await this.install(change)
    using namespace = openNamespace(this.name)
    const { process } = await startKeepalived(this.home, namespace.fd)
    this.process = process
    return process
  }

  ask(deadlineMs = 3000): Promise<KeepalivedView> {
    return askKeepalived(this.home, this.running(), this.features, 'r1', { deadlineMs })
  }

  running(): ProcessHandle {
    if (this.process === undefined) throw new Error(`${this.name} runs no keepalived`)
    return this.process
  }

  async ip(...words: string[]): Promise<string> {
    return (await run(['ip', '-n', this.name, ...words])).stdout
  }

  async addresses(): Promise<string[]> {
    const links = JSON.parse(await this.ip('-j', 'address')) as {
      ifname: string
      addr_info: { local: string; prefixlen: number; scope: string }[]
    }[]
    return links.flatMap(({ ifname, addr_info }) =>
      addr_info
        .filter(({ local }) => ifname !== 'lo' && !local.startsWith('fe80:') && !local.startsWith('10.9.'))
        .map(({ local, prefixlen }) => `${local}/${prefixlen} ${ifname}`),
    )
  }

  async isPrimary(): Promise<boolean> {
    return (await this.addresses()).includes(`${marker} ha0`)
  }
}

export class Pair implements AsyncDisposable {
  readonly a: Host
  readonly b: Host
  readonly hints: string[] = []
  readonly fifo: FifoReader
  readonly #middle: string
  readonly #directory: string

  static async up(options: { readonly haLinkUp?: boolean } = {}): Promise<Pair> {
    const pair = new Pair(await probeFeatures())
    await pair.#wire(options.haLinkUp ?? true)
    return pair
  }

  private constructor(features: KeepalivedFeatures) {
    serial += 1
    const name = `kwt-${process.pid}-${serial}`
    this.#middle = `${name}-m`
    this.#directory = mkdtempSync('/run/kwt-keepalived-')
    const directory = SafeDir.open(this.#directory)
    this.fifo = readNotifyFifo(directory, 'notify.fifo', {
      onHint: ({ says, priority }) => this.hints.push(`${says} ${priority}`),
      onRejected: (reason) => this.hints.push(`rejected ${reason}`),
      onFailed: (error) => this.hints.push(`failed ${error.message}`),
    })
    const home = (which: string) => directory.sub(which, { create: true })
    this.a = new Host(1, `${name}-a`, home('a'), features, this.fifo.path)
    this.b = new Host(2, `${name}-b`, home('b'), features, this.fifo.path)
  }

  /** Takes the HA bridge port of a host up or down: its own link keeps the carrier only while the port is up. */
  async port(host: Host, state: 'up' | 'down'): Promise<void> {
    await run(['ip', '-n', this.#middle, 'link', 'set', `ha${host.index}`, state])
  }

  /** Forwards nothing between the hosts, while both keep their carrier. */
  async cut(host: Host): Promise<void> {
    await run(['ip', '-n', this.#middle, 'link', 'set', `ha${host.index}`, 'nomaster'])
  }

  async heal(host: Host): Promise<void> {
    await run(['ip', '-n', this.#middle, 'link', 'set', `ha${host.index}`, 'master', 'ha'])
  }

  /** Both running, `a` primary: it starts first, for with `nopreempt` the first is what counts. */
  async elect(change: Partial<RouterSpec> = {}): Promise<void> {
    await this.a.start(change)
    await this.a.ask()
    await this.b.start(change)
    await until('a is primary', () => this.a.isPrimary())
  }

  async #wire(haLinkUp: boolean): Promise<void> {
    for (const name of [this.#middle, this.a.name, this.b.name]) await createNamespace(name)
    const lines = ['link add ha type bridge', 'link set ha up']
    for (const host of [this.a, this.b]) {
      lines.push(`link add ha${host.index} type veth peer name ha0 netns ${host.name}`)
      lines.push(`link add qr${host.index} type veth peer name qr0 netns ${host.name}`)
      lines.push(`link set ha${host.index} master ha ${haLinkUp ? 'up' : 'down'}`, `link set qr${host.index} up`)
      await run(['ip', '-n', this.#middle, '-batch', '-'], { stdin: `${lines.splice(0).join('\n')}\n` })
      const inner = [
        'link set lo up',
        'link set ha0 up',
        'link set qr0 up',
        `address add 10.9.0.${host.index}/24 dev ha0`,
      ]
      await run(['ip', '-n', host.name, '-batch', '-'], { stdin: `${inner.join('\n')}\n` })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Both at once: keepalived takes a second to end.
    await Promise.all(
      [this.a, this.b].map(async (host) => {
        if (host.process !== undefined) await stopKeepalived(host.home, host.process, 3000)
        host.process?.close()
        host.home.close()
      }),
    )
    this.fifo.close()
    for (const name of [this.#middle, this.a.name, this.b.name]) await deleteNamespace(name)
    rmSync(this.#directory, { recursive: true })
  }
}

let serial = 0

export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<number> {
  const start = performance.now()
  while (!(await holds())) {
    if (performance.now() - start > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await wait(5)
  }
  return performance.now() - start
}

/** Every address change of a host's HA interface while `body` runs, as `+169.254.0.7/24` or `-169.254.0.7/24`; not the kernel's own. */
export async function addressChanges(host: Host, body: () => Promise<void>): Promise<string[]> {
  const { spawn } = await import('node:child_process')
  const monitor = spawn('ip', ['-n', host.name, '-o', 'monitor', 'address'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  monitor.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const mark = async (address: string) => {
    await host.ip('address', 'add', address, 'dev', 'lo')
    await until('the monitor hears', () => text.includes(address))
  }
  // A monitor that has not subscribed yet hears nothing: repeat until it does.
  let probes = 0
  await until('the monitor listens', async () => {
    probes += 1
    await host.ip('address', 'add', `127.1.0.${probes}/32`, 'dev', 'lo')
    return text.includes('127.1.0.')
  })
  try {
    await body()
    await mark('127.2.0.1/32')
  } finally {
    monitor.kill()
  }
  return text.split('\n').flatMap((line) => {
    const [, gone, address] = /^(Deleted )?.* inet6? ([0-9a-f.:]+\/\d+) /.exec(line) ?? []
    return address === undefined || /^(?:127\.|fe80:)/.test(address)
      ? []
      : [`${gone === undefined ? '+' : '-'}${address}`]
  })
}
