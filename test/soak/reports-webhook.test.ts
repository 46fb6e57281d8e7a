import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { onTestFailed, test } from 'vitest'
import { seededRandom } from '../../bench/statistics.ts'
import type { WebhookSettings } from '../../src/report/settings.ts'
import { Relay } from '../support/relay.ts'
import { during, judgeHistory, judgeLatest, soak, Writer, type ToldEvent } from '../support/report-soak.ts'
import { makeCertificates } from '../support/vault-server.ts'
import { Endpoint } from '../support/webhook.ts'

const transitions = 10_000
const faultsMs = 90_000
const seed = Number(process.env['KEEPWARD_SEED'] ?? Math.floor(Math.random() * 100_000))

test(
  'agent killed, endpoint killed, dazed or refusing for a while, network cut: who is told by webhook ends right',
  { timeout: 300_000 },
  async () => {
    onTestFailed(() => {
      console.error(`KEEPWARD_SEED=${String(seed)}`)
    })
    const draw = seededRandom(seed)
    const below = (limit: number) => Math.floor(draw() * limit)
    const home = mkdtempSync(join(tmpdir(), 'kwt-webhooks-'))
    const directory = join(home, 'state')
    mkdirSync(directory)
    makeCertificates(home)
    const secret = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`
    writeFileSync(join(home, 'secret'), `${secret}\n`, { mode: 0o600 })
    await using store = new AsyncDisposableStack()
    store.defer(() => {
      rmSync(home, { recursive: true, force: true })
    })
    const [history, latest, late] = [await hooked(store, home), await hooked(store, home), await hooked(store, home)]
    const settings = [history.settings('history'), latest.settings('latest')]
    const task = { directory, sinks: settings, routers: 40, transitions, everyMs: 5 }
    const writer = new Writer(task)
    store.defer(() => writer.kill())
    await writer.start()

    const faults: (() => Promise<void>)[] = [
      async () => {
        await writer.kill()
        await writer.start()
      },
      ...[history, latest].flatMap((one) => [
        async () => {
          await one.stop()
          await wait(below(1500))
          await one.start()
        },
        ...(['cut', 'silence'] as const).map((what) => () => {
          const start = () => {
            one.relay[what]()
          }
          const end = () => {
            one.relay.open()
          }
          return during(start, end, below(2000))
        }),
        // It has each one, and says that it has not, or nothing at all.
        ...([500, 404, undefined] as const).map((status) => () => {
          const start = () => {
            one.status = status
          }
          const end = () => {
            one.status = 204
          }
          return during(start, end, below(1500))
        }),
      ]),
    ]
    const limits = { faultsMs, pauseMs: 2000, atLeast: 21, below }
    const records = await soak({ writer, faults, ...limits, late: late.settings('history', 'late') })
    for (const one of [history, late]) judgeHistory(one.told, records)
    judgeLatest(latest.told, records)
  },
)

/** An endpoint that can be killed, and what it was told in all its lives. */
class Hook {
  readonly told: ToldEvent[] = []
  readonly relay: Relay
  readonly #home: string
  #endpoint: Endpoint
  /** What it answers; undefined: nothing. */
  status: number | undefined = 204

  constructor(home: string, endpoint: Endpoint, relay: Relay) {
    this.#home = home
    this.#endpoint = endpoint
    this.relay = relay
    this.#listen()
  }

  settings(delivery: WebhookSettings['delivery'], name: string = delivery): WebhookSettings {
    return {
      ...{ type: 'webhook', name, delivery, repeatMs: 5000, clientCertificate: undefined },
      url: `https://127.0.0.1:${String(this.relay.port)}/`,
      secret: { kind: 'file', path: join(this.#home, 'secret') },
      filter: { routers: undefined, kinds: undefined, roles: undefined },
      caFile: join(this.#home, 'ca.pem'),
      allowNetworks: [{ family: 4, address: '127.0.0.1', prefixLength: 32 }],
    }
  }

  stop(): Promise<void> {
    return this.#endpoint.close()
  }

  async start(): Promise<void> {
    this.#endpoint = await Endpoint.start(this.#home, { port: this.#port })
    this.#listen()
  }

  get #port(): number {
    return this.relay.targetPort
  }

  #listen(): void {
    this.#endpoint.answer = (response, { body }) => {
      const { id, data } = JSON.parse(body) as { id: string; data: ToldEvent['event'] }
      this.told.push({ id, event: data })
      if (this.status !== undefined) response.writeHead(this.status).end()
    }
  }
}

async function hooked(store: AsyncDisposableStack, home: string): Promise<Hook> {
  const endpoint = await Endpoint.start(home)
  const relay = store.use(await Relay.to(endpoint.port))
  const hook = new Hook(home, endpoint, relay)
  store.defer(() => hook.stop())
  return hook
}
