import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFailed, test } from 'vitest'
import { seededRandom } from '../../bench/statistics.ts'
import type { NeutronSettings } from '../../src/report/settings.ts'
import { testJournal } from '../support/journal.ts'
import { brokerUser, installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { Relay } from '../support/relay.ts'
import type { WriterTask } from '../support/report-writer.ts'
import { RpcServer, type Handled } from '../support/rpc-server.ts'
import { until } from '../support/until.ts'

const routers = 40
const transitions = 10_000
const seed = Number(process.env['KEEPWARD_SEED'] ?? Math.floor(Math.random() * 100_000))

test(
  'agent killed, broker killed, way cut or silent, server killed over 10,000 transitions: the server ends with the newest of each router',
  { timeout: 600_000 },
  async () => {
    onTestFailed(() => {
      console.error(`KEEPWARD_SEED=${String(seed)}`)
    })
    const draw = seededRandom(seed)
    const below = (limit: number) => Math.floor(draw() * limit)
    installRabbitmq()
    await using store = new AsyncDisposableStack()
    const home = mkdtempSync(join(tmpdir(), 'kwt-neutron-'))
    store.defer(() => {
      rmSync(home, { recursive: true, force: true })
    })
    const directory = join(home, 'state')
    mkdirSync(directory, { mode: 0o700 })
    writeFileSync(join(home, 'password'), brokerUser.password, { mode: 0o600 })
    const broker = store.use(await Rabbitmq.start())
    const relay = store.use(await Relay.to(broker.port))
    const neutron = store.use(new Neutron(broker.port))
    await neutron.start()
    const sinks = [settings(`amqp://127.0.0.1:${String(relay.port)}`, join(home, 'password'))]
    const writer = new Writer({ directory, sinks, routers, uuids: true, transitions, everyMs: 12 })
    store.defer(() => writer.end('SIGKILL'))
    await writer.start()
    // Nothing is tried before the first connection is there.
    await until('some is handled', () => neutron.handled.length > 10, 30_000)

    const forAWhile = async (begin: () => void, ms: number) => {
      begin()
      await wait(ms)
      relay.open()
    }
    const faults = [
      async () => {
        await writer.end('SIGKILL')
        await writer.start()
      },
      async () => {
        await broker.kill()
        await wait(below(1000))
        await broker.startBroker()
      },
      async () => {
        await neutron.kill()
        await wait(below(1000))
        await neutron.start()
      },
      () =>
        forAWhile(() => {
          relay.cut()
        }, below(2000)),
      () =>
        forAWhile(() => {
          relay.silence()
        }, below(4000)),
      // Messages that are given up while a handler is at them.
      async () => {
        await neutron.behave([0, 3000])
        await wait(500)
        await forAWhile(() => {
          relay.cut()
        }, 100)
        await wait(1500)
        await neutron.behave([0, 30])
      },
    ]
    // Each of them six times, in an order of chance.
    const order = Array.from({ length: 6 }, () => faults)
      .flat()
      .sort(() => draw() - 0.5)
    for (const fault of order) {
      await fault()
      await wait(below(1500))
    }
    await until('all is told', () => writer.isCurrent, 120_000)
    // What was given up by an agent that was killed may come after; that all is told once more after each connection mends it.
    const { newest, count } = await journalOf(writer, directory)
    expect(count).toBeGreaterThanOrEqual(transitions)
    expect(newest.size).toBe(routers)
    await writer.start()
    await until(
      'the server has the newest of each',
      () => {
        expect(neutron.last()).toEqual(newest)
        return true
      },
      60_000,
    )
    await writer.end('SIGTERM')
    const undone = neutron.undone()
    expect(undone).not.toContain(false)
    console.log(
      `${String(neutron.handled.length)} messages handled, ${String(undone.length)} undid a newer one for a while`,
    )
  },
)

const settings = (broker: string, password: string): NeutronSettings => ({
  ...{ type: 'neutron', name: 'neutron', delivery: 'latest', repeatMs: 3_600_000, plaintext: true },
  ...{ caFile: undefined, clientCertificate: undefined, brokers: [broker], virtualHost: '/', user: brokerUser.user },
  ...{ password: { kind: 'file', path: password }, host: 'network-1', method: 'call', exchange: 'neutron' },
  ...{ topic: 'q-l3-plugin', replyQueue: 'transient', primaryDelayMs: 100 },
})

/** What the journal holds, while nobody writes. */
async function journalOf(writer: Writer, directory: string) {
  await writer.end('SIGTERM')
  await using opened = testJournal(directory)
  const journal = await opened.open()
  const newest = new Map<string, string>()
  for (const [router, { body }] of journal.newest) newest.set(router, body['to'] === 'primary' ? 'active' : 'standby')
  return { newest, count: journal.status.durableSeq }
}

/** One Neutron after the other, on the same queue. */
class Neutron implements AsyncDisposable {
  readonly #port: number
  readonly #servers: RpcServer[] = []

  constructor(port: number) {
    this.#port = port
  }

  async start(): Promise<void> {
    const server = await RpcServer.start({ port: this.#port })
    this.#servers.push(server)
    await this.behave([0, 30])
  }

  async behave(sleepMs: readonly [number, number]): Promise<void> {
    await this.#servers.at(-1)?.behave({ sleepMs })
  }

  async kill(): Promise<void> {
    await this.#servers.at(-1)?.[Symbol.asyncDispose]()
  }

  get handled(): Handled[] {
    return this.#servers.flatMap(({ handled }) => handled)
  }

  /** Of each router what was handled last. */
  last(): Map<string, string> {
    return new Map(this.handled.flatMap(({ states }) => Object.entries(states)))
  }

  /** Each message that undid one that was made later: true where one that is not older came after, false where it stands. */
  undone(): boolean[] {
    const byRouter = Map.groupBy(this.handled, ({ states }) => Object.keys(states).join())
    return [...byRouter.values()].flatMap((all) => {
      const told = all.map(({ states, context }) => ({
        state: Object.values(states).join(),
        madeAt: String(context['timestamp']),
      }))
      return told.flatMap(({ state, madeAt }, at) => {
        const newest = told
          .slice(0, at)
          .reduce((best, one) => (one.madeAt > best.madeAt ? one : best), { state, madeAt })
        return newest.state === state ? [] : [told.slice(at + 1).some((later) => later.madeAt >= newest.madeAt)]
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}

/** An agent's journal and sink in a process of their own. */
class Writer {
  readonly #task: WriterTask
  isCurrent = false
  #child: ChildProcess | undefined

  constructor(task: WriterTask) {
    this.#task = task
  }

  async start(): Promise<void> {
    this.isCurrent = false
    const program = join(import.meta.dirname, '..', 'support', 'report-writer.ts')
    const child = spawn(process.execPath, [program, JSON.stringify(this.#task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    child.stdout.on('data', () => (this.isCurrent = child === this.#child))
    await once(child, 'spawn')
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const over = once(child, 'exit')
    child.kill(signal)
    await over
  }
}
