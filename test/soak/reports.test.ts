import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFailed, test } from 'vitest'
import type { JournalRecord } from '../../src/journal/record.ts'
import type { NatsSettings } from '../../src/report/settings.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { Disk } from '../support/disk.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings, stateOfRouters, storedEvents } from '../support/nats-sink.ts'
import { seededRandom } from '../../bench/statistics.ts'
import { Relay } from '../support/relay.ts'
import { during, judgeHistory, judgeLatest, soak, Writer } from '../support/report-soak.ts'

const routers = 40
const transitions = 10_000
const faultsMs = 120_000
const seed = Number(process.env['KEEPWARD_SEED'] ?? Math.floor(Math.random() * 100_000))

test(
  'agent killed, broker killed, network cut, disk full over 10,000 transitions: each consumer ends right, and one added late',
  { timeout: 300_000 },
  async () => {
    onTestFailed(() => {
      console.error(`KEEPWARD_SEED=${String(seed)}`)
    })
    const draw = seededRandom(seed)
    const below = (limit: number) => Math.floor(draw() * limit)
    const home = mkdtempSync(join(tmpdir(), 'kwt-reports-'))
    const directory = join(home, 'state')
    const disk = new Disk()
    disk.mount(directory, '64M')
    await using store = new AsyncDisposableStack()
    store.defer(() => {
      disk.remove()
      rmSync(home, { recursive: true, force: true })
    })
    const [history, latest, late] = [await broker(store), await broker(store), await broker(store)]
    const settings = [history.settings('history'), latest.settings('latest')]
    const task = { directory, sinks: settings, routers, transitions, everyMs: 6 }
    const writer = new Writer(task)
    store.defer(() => writer.kill())
    await writer.start()

    const faults: (() => Promise<void>)[] = [
      async () => {
        await writer.kill()
        await writer.start()
      },
      ...[history, latest].flatMap(({ server, relay }) => [
        async () => {
          await server.stop('SIGKILL')
          await wait(below(1500))
          await server.start()
        },
        () =>
          during(
            () => {
              relay.cut()
            },
            () => {
              relay.open()
            },
            below(2000),
          ),
        () =>
          during(
            () => {
              relay.silence()
            },
            () => {
              relay.open()
            },
            below(4000),
          ),
        () =>
          during(
            () => {
              server.signal('SIGSTOP')
            },
            () => {
              server.signal('SIGCONT')
            },
            below(2000),
          ),
      ]),
      () =>
        during(
          () => {
            disk.fill()
          },
          () => {
            disk.free()
          },
          below(1000),
        ),
    ]
    const limits = { faultsMs, pauseMs: 600, atLeast: 31, below }
    const records = await soak({ writer, faults, ...limits, late: late.settings('history', 'late') })
    for (const one of [history, late]) judgeHistory(await one.events(), records)
    judgeLatest(await latest.events(), records)
    for (const one of [history, latest, late]) judgeStates(await one.states(), records)
  },
)

async function broker(store: AsyncDisposableStack) {
  const server = store.use(await NatsServer.start())
  const relay = store.use(await Relay.to(server.port))
  const as = async <T>(ask: (connection: Awaited<ReturnType<typeof connectAs>>) => Promise<T>): Promise<T> => {
    const connection = await connectAs(server.url)
    try {
      return await ask(connection)
    } finally {
      await connection.close()
    }
  }
  await as((connection) => setUpNats(connection, { replicas: 1 }))
  return {
    server,
    relay,
    settings: (delivery: NatsSettings['delivery'], name: string = delivery): NatsSettings =>
      natsSettings([`nats://127.0.0.1:${String(relay.port)}`], { name, delivery, repeatMs: 5000 }),
    events: () => as(storedEvents),
    states: () => as(stateOfRouters),
  }
}

function judgeStates(states: ReadonlyMap<string, string>, records: readonly JournalRecord[]): void {
  const newest = new Map(records.map((record) => [record.router ?? '', record.hash]))
  expect(states).toEqual(newest)
}
