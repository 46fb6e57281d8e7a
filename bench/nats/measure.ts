import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import type { JournalRecord } from '../../src/journal/record.ts'
import { eventId, eventOf } from '../../src/report/event.ts'
import { eventSubject } from '../../src/report/nats/layout.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import type { Delivery, Report } from '../../src/report/report.ts'
import type { Reporter } from '../../src/report/reporter.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { connectAs, NatsServer } from '../../test/support/nats-server.ts'
import { natsSettings, natsTools, reporterOf, watchedSink } from '../../test/support/nats-sink.ts'
import { makeCertificates } from '../../test/support/vault-server.ts'
import { until } from '../until.ts'
import { stateRoot } from '../world.ts'

const routers = 500
const agents = 200
/** Of one agent at once in the fleet: 200 of them have more under way than any server works on. */
const agentWidth = 8
/** As the sink's own. */
const rawWidth = 256

/** A nats-server with TLS, its store on a disk, with Keepward's streams. */
export interface Place extends AsyncDisposable {
  readonly server: NatsServer
  readonly url: string
  readonly ca: string
  readonly directory: string
  readonly version: string
}

export async function openPlace(inJetstream = ''): Promise<Place> {
  const directory = mkdtempSync(join(stateRoot, 'keepward-nats-'))
  makeCertificates(directory)
  const file = (name: string) => JSON.stringify(join(directory, name))
  const config = `tls { cert_file: ${file('server.pem')}, key_file: ${file('server.key')} }`
  const server = await NatsServer.start(config, { directory, jetstream: inJetstream })
  const place = { url: `tls://127.0.0.1:${String(server.port)}`, ca: readFileSync(join(directory, 'ca.pem'), 'utf8') }
  await using operator = await connectAs(place.url, { ca: place.ca })
  await setUpNats(operator, { replicas: undefined })
  return {
    ...{ ...place, server, directory, version: operator.info?.version ?? '' },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

const settingsOf = ({ url }: Place, delivery: Delivery) =>
  natsSettings([url], { delivery, plaintext: false, caFile: '/ca.pem' })
const toolsOf = ({ ca }: Place, agent: string) => natsTools({ agent, readFile: () => ca })

const perSecond = (count: number, began: number): number => count / ((performance.now() - began) / 1000)

/** Events a second, from a journal that holds them to the server's acknowledgement of the last event and state. */
export async function oneAgent(place: Place, count: number): Promise<number> {
  await using filled = await journalWith(place, count, 'history')
  await until('all is durable', 60_000, () => filled.fill() >= count)
  const began = performance.now()
  await using reporter = await filled.report()
  await until('all is told', 120_000, () => reporter.status.delivered >= count, 5)
  return perSecond(count, began)
}

/** Milliseconds from the moment that the server takes connections until the newest of each router is there. */
export async function away(place: Place, count: number): Promise<number> {
  await using filled = await journalWith(place, count, 'latest')
  await using reporter = await filled.report()
  await until('it is there', 10_000, () => reporter.status.state.trouble === undefined)
  await place.server.stop()
  await until('all is durable', 120_000, () => filled.fill() >= count)
  await until('the newest of each waits', 10_000, () => reporter.status.waiting === routers)
  await until('it has tried in vain', 10_000, () => reporter.status.state.trouble?.text.includes('REFUSED') === true)
  await place.server.start()
  const began = performance.now()
  await until('all is told', 60_000, () => reporter.status.waiting === 0 && reporter.status.delivered >= routers, 2)
  return performance.now() - began
}

/** Events a second of all agents; each tells what it likes over its own connection, as the reporter would have it do. */
export async function fleet(place: Place, count: number): Promise<number> {
  const settings = settingsOf(place, 'history')
  const sinks = Array.from({ length: agents }, (_, n) => watchedSink(settings, toolsOf(place, `fleet${String(n)}`)))
  try {
    await until('all are there', 60_000, () => sinks.every(({ state }) => state.trouble === undefined))
    const each = Math.ceil(count / agents / agentWidth)
    const began = performance.now()
    await Promise.all(
      sinks.flatMap(({ sink }, n) =>
        Array.from({ length: agentWidth }, async (_, router) => {
          for (let seq = 1; seq <= each; seq++)
            await sink.send(
              reportOf(`fleet${String(n)}`, `r${String(router)}`, seq * agentWidth + router),
              AbortSignal.timeout(30_000),
            )
        }),
      ),
    )
    return perSecond(each * agents * agentWidth, began)
  } finally {
    await Promise.all(sinks.map((sink) => sink[Symbol.asyncDispose]()))
  }
}

/** Events a second that the bare library publishes and sees acknowledged, of the same bytes and ids; no state beside them. */
export async function bare(place: Place, count: number): Promise<number> {
  await using connection = await connectAs(place.url, { ca: place.ca })
  const js = jetstream(connection)
  const began = performance.now()
  let seq = 0
  const one = async () => {
    while (seq < count) {
      seq += 1
      const report = reportOf('bare', `r${String(seq % routers)}`, seq)
      const subject = eventSubject('bare', report.router)
      await js.publish(subject, JSON.stringify(eventOf(report)), { msgID: eventId(report.record) })
    }
  }
  await Promise.all(Array.from({ length: rawWidth }, one))
  return perSecond(count, began)
}

function reportOf(agent: string, router: string, seq: number): Report {
  const record: JournalRecord = {
    ...{ kind: 'transition', router, at: { wallMs: Date.now(), monoMs: 1 }, body: { from: 'backup', to: 'primary' } },
    ...{ seq, agent, epoch: { journal: 'a'.repeat(32), start: 1 }, boot: 'b'.repeat(32), routerSeq: seq, late: false },
    ...{ previous: '0'.repeat(64), hash: '1'.repeat(64) },
  }
  return { router, record, fromSeq: seq, isRepeat: false }
}

interface Filled extends AsyncDisposable {
  report(): Promise<Reporter>
  /** Append what may wait for the disk; answers with the last sequence that is durable. */
  fill(): number
}

async function journalWith(place: Place, count: number, delivery: Delivery): Promise<Filled> {
  const directory = mkdtempSync(join(place.directory, 'journal-'))
  mkdirSync(directory, { recursive: true })
  const store = testJournal(directory)
  const journal = await store.open({ agent: 'one', retain: { days: 30, sizeBytes: 1e9 } })
  let appended = 0
  return {
    report: () => reporterOf(journal, settingsOf(place, delivery), { tools: toolsOf(place, 'one') }),
    fill: () => {
      for (; appended < count && appended - journal.status.durableSeq < 5000; appended++)
        journal.append(transition(`r${String(appended % routers)}`))
      return journal.status.durableSeq
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
