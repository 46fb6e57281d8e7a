import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { Secret } from '../../src/base/secret.ts'
import type { JournalRecord } from '../../src/journal/record.ts'
import { Deadlines } from '../../src/report/deadlines.ts'
import { eventId, eventOf } from '../../src/report/event.ts'
import { eventSubject, inboxOf } from '../../src/report/nats/layout.ts'
import { operatorInbox } from '../../src/report/nats/permissions.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import type { Delivery, Report } from '../../src/report/report.ts'
import type { Reporter } from '../../src/report/reporter.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { deploy, type Deployed } from '../../test/support/nats-deploy.ts'
import { connectAs } from '../../test/support/nats-server.ts'
import { natsSettings, natsTools, reporterOf, watchedSink, type Watched } from '../../test/support/nats-sink.ts'
import { until } from '../until.ts'
import { stateRoot } from '../world.ts'

const routers = 500
const agents = 200
const fleetAgents = Array.from({ length: agents }, (_, n) => `fleet${String(n)}`)
/** Of one agent at once in the fleet: 200 of them have more under way than any server works on. */
const agentWidth = 8
/** As the sink's own. */
const rawWidth = 256

/** The servers of deploy/nats/, their stores on a disk, with Keepward's streams, and an account for each agent. */
export interface Place extends AsyncDisposable {
  readonly deployed: Deployed
  readonly version: string
}

export async function openPlace(size: 1 | 3 = 1, synced = false): Promise<Place> {
  const deployed = await deploy(size, { agents: ['one', ...fleetAgents], synced, root: stateRoot })
  try {
    return { deployed, version: await setUp(deployed), [Symbol.asyncDispose]: () => deployed[Symbol.asyncDispose]() }
  } catch (error) {
    await deployed[Symbol.asyncDispose]()
    throw error
  }
}

/** Makes the streams, once the servers of a cluster have found each other; answers with the version of a server. */
async function setUp(deployed: Deployed): Promise<string> {
  let version = ''
  const tried = async () => {
    await using operator = await connectAs(urlOf(deployed), {
      ...{ ca: deployed.ca, seed: deployed.seeds.operator, inbox: operatorInbox },
    })
    version = operator.info?.version ?? ''
    await setUpNats(operator, { replicas: undefined })
    return true
  }
  await until('NATS is set up', 60_000, () => tried().catch(() => false), 500)
  return version
}

const urlOf = ({ urls }: Deployed): string => urls[0] ?? ''

/** The seed is a secret of the file `/seed`. */
const settingsOf = ({ deployed }: Place, delivery: Delivery) =>
  natsSettings(deployed.urls, {
    ...{ delivery, plaintext: false, caFile: '/ca.pem', nkey: { kind: 'file', path: '/seed' } },
  })

const toolsOf = (place: Place, agent: string) =>
  natsTools({
    ...{ agent, readFile: () => place.deployed.ca },
    readSecret: () => Promise.resolve(seedOf(place, agent)),
  })

const seedOf = ({ deployed }: Place, agent: string): Secret => deployed.agentSeeds.get(agent) ?? new Secret('')

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
  for (const server of place.deployed.servers) await server.stop()
  await until('all is durable', 120_000, () => filled.fill() >= count)
  await until('the newest of each waits', 10_000, () => reporter.status.waiting === routers)
  await until('it has tried in vain', 10_000, () => reporter.status.state.trouble?.text.includes('REFUSED') === true)
  for (const server of place.deployed.servers) await server.start()
  const began = performance.now()
  await until('all is told', 60_000, () => reporter.status.waiting === 0 && reporter.status.delivered >= routers, 2)
  return performance.now() - began
}

/** Events a second of all agents; each tells what it likes over its own connection, as the reporter would have it do. */
export async function fleet(place: Place, count: number): Promise<number> {
  return withFleet(place, async (sinks) => {
    const each = Math.ceil(count / agents / agentWidth)
    const deadlines = new Deadlines(30_000)
    const began = performance.now()
    await Promise.all(
      sinks.flatMap(({ sink }, n) =>
        Array.from({ length: agentWidth }, async (_, router) => {
          for (let seq = 1; seq <= each; seq++)
            await deadlines.run((signal) =>
              sink.send(reportOf(fleetAgents[n] ?? '', `r${String(router)}`, seq * agentWidth + router), signal),
            )
        }),
      ),
    )
    return perSecond(each * agents * agentWidth, began)
  })
}

/** Milliseconds from the moment that the server takes connections until all agents may send again, whose handshakes one process does. */
export async function fleetBack(place: Place): Promise<number> {
  return withFleet(place, async (sinks) => {
    for (const server of place.deployed.servers) await server.stop()
    await until('nobody is there', 10_000, () => sinks.every(({ state }) => state.trouble !== undefined))
    for (const server of place.deployed.servers) await server.start()
    const began = performance.now()
    await allThere(sinks)
    return performance.now() - began
  })
}

async function withFleet<T>(place: Place, use: (sinks: readonly Watched[]) => Promise<T>): Promise<T> {
  const settings = settingsOf(place, 'history')
  const sinks = fleetAgents.map((agent) => watchedSink(settings, toolsOf(place, agent)))
  try {
    await allThere(sinks)
    return await use(sinks)
  } finally {
    await Promise.all(sinks.map((sink) => sink[Symbol.asyncDispose]()))
  }
}

const allThere = (sinks: readonly Watched[]): Promise<void> =>
  until('all are there', 60_000, () => sinks.every(({ state }) => state.trouble === undefined), 5)

/** Events a second that the bare library publishes and sees acknowledged, of the same bytes and ids; no state beside them. */
export async function bare(place: Place, count: number): Promise<number> {
  const { deployed } = place
  await using connection = await connectAs(urlOf(deployed), {
    ...{ ca: deployed.ca, seed: seedOf(place, 'one'), inbox: inboxOf('one') },
  })
  const js = jetstream(connection)
  const began = performance.now()
  let seq = 0
  const one = async () => {
    while (seq < count) {
      seq += 1
      const report = reportOf('one', `r${String(seq % routers)}`, seq)
      const subject = eventSubject('one', report.router)
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
  const directory = mkdtempSync(join(place.deployed.directory, 'journal-'))
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
