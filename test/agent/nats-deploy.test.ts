import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { headers, PermissionViolationError, type NatsConnection } from '@nats-io/nats-core/internal'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  accountText,
  agentPermissions,
  consumerPermissions,
  exportedServices,
  operatorPermissions,
} from '../../src/report/nats/permissions.ts'
import { checkNats } from '../../src/report/nats/setup.ts'
import { testJournal, transition } from '../support/journal.ts'
import { deploy, type Deployed, type Person } from '../support/nats-deploy.ts'
import { connectAs } from '../support/nats-server.ts'
import { natsSettings, natsTools, reporterOf, storedEvents, valueIn, watchedSink } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'

const entry = join(import.meta.dirname, '..', '..', 'src', 'cmd', 'keepward.ts')
const keepward = (...words: string[]) =>
  new Promise<readonly [number, string, string]>((resolve) => {
    execFile(process.execPath, [entry, ...words], { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout, stderr])
    })
  })

const setup = ({ urls, directory }: Deployed, ...words: string[]) =>
  keepward(
    ...['nats', 'setup', '--server', ...urls, '--ca', join(directory, 'ca.pem')],
    ...['--nkey', join(directory, 'operator.seed'), ...words],
  )

const secured = ({ urls, ca, seeds }: Deployed, person: 'host1' | 'host2' = 'host1') =>
  [
    natsSettings(urls, {
      plaintext: false,
      caFile: '/ca.pem',
      nkey: { kind: 'file', path: '/seed' },
    }),
    natsTools({
      agent: person,
      readFile: () => ca,
      readSecret: () => Promise.resolve(seeds[person]),
    }),
  ] as const

describe('deploy/nats/single.conf', () => {
  let deployed: Deployed
  beforeAll(async () => {
    deployed = await deploy(1)
  })
  afterAll(async () => {
    await deployed[Symbol.asyncDispose]()
  })
  const as = (person: Person) =>
    connectAs(deployed.urls[0] ?? '', {
      ca: deployed.ca,
      seed: deployed.seeds[person],
      inbox: `_INBOX.${person}`,
    })

  test('an agent says what is missing, and goes on by itself when the operator has set NATS up', async () => {
    await using store = testJournal()
    const journal = await store.open()
    const [settings, tools] = secured(deployed)
    await using reporter = await reporterOf(journal, settings, { tools })
    await journal.append(transition('r1')).durable
    await until('it says so', () => reporter.status.state.trouble?.kind === 'not-ready')
    expect(reporter.status.state.trouble?.text).toBe(
      'stream KEEPWARD_EVENTS is missing; stream KV_keepward-state is missing; stream KV_keepward-agents is missing: keepward nats setup',
    )
    const [status, text, failure] = await setup(deployed)
    expect([status, failure]).toEqual([0, ''])
    expect(text).toMatch(
      /KEEPWARD_EVENTS +1 +created\nKV_keepward-state +1 +created\nKV_keepward-agents +1 +created\n$/,
    )
    await until('it is told', () => reporter.status.delivered === 1)
    expect(reporter.status.state.trouble).toBeUndefined()
    const [, again] = await setup(deployed)
    expect(again.match(/right already/g)).toHaveLength(3)
  })

  test('a consumer reads events, states and heartbeats', async () => {
    const [settings, tools] = secured(deployed)
    await using watched = watchedSink(settings, tools)
    await until('it is there', () => watched.state.trouble === undefined)
    const signal = AbortSignal.timeout(5000)
    await watched.sink.beat?.(
      {
        ...{ agent: 'host1', version: '0.1.0', epoch: { journal: 'j', start: 1 }, boot: 'b', seq: 1, atMs: 1 },
        ...{ configDigest: 'd', health: 'healthy', conditions: [] },
        roles: { primary: 1, backup: 0, fault: 0, unknown: 0 },
      },
      signal,
    )
    await using consumer = await as('consumer')
    expect((await storedEvents(consumer)).map(({ subject }) => subject)).toEqual(['keepward.v1.event.host1.r1'])
    expect(await valueIn(consumer, 'keepward-state', 'host1.r1')).toMatchObject({ router: 'r1', seq: 1 })
    expect(await valueIn(consumer, 'keepward-agents', 'host1')).toMatchObject({ agent: 'host1', health: 'healthy' })
    await expect(refused(consumer, 'keepward.v1.event.host1.r1')).resolves.toBe(true)
    await expect(refused(consumer, '$JS.API.STREAM.DELETE.KEEPWARD_EVENTS')).resolves.toBe(true)
  })

  test('keepward nats forget removes the states of one agent, once that lives no more', async () => {
    const forget = (...words: string[]) =>
      keepward(
        ...['nats', 'forget', ...words, '--server', ...deployed.urls, '--ca', join(deployed.directory, 'ca.pem')],
        ...['--nkey', join(deployed.directory, 'operator.seed')],
      )
    await using agent = await as('host2')
    for (const subject of ['$KV.keepward-state.host2.r1', '$KV.keepward-state.host2.r2', '$KV.keepward-agents.host2'])
      await agent.request(subject, '{}')
    const [status, , text] = await forget('host2')
    expect([status === 0, text]).toEqual([false, expect.stringContaining('host2 has told within the last minute')])
    const removed = headers()
    removed.set('KV-Operation', 'DEL')
    await agent.request('$KV.keepward-agents.host2', '', { timeout: 4000, headers: removed })
    expect(await forget('host2')).toEqual([0, '2 entries of host2 removed\n', ''])
    expect(await forget('host2')).toEqual([0, '0 entries of host2 removed\n', ''])
    await using consumer = await as('consumer')
    expect(await valueIn(consumer, 'keepward-state', 'host1.r1')).toMatchObject({ router: 'r1' })
    expect(await valueIn(consumer, 'keepward-state', 'host2.r1')).toBeUndefined()
    expect((await forget('host.*'))[2]).toContain('host.* is not the id of an agent')
  })

  test('an agent can alter, purge or delete no stream, read no other, and tell nothing as another', async () => {
    await using agent = await as('host2')
    const stream = (verb: string, rest = '') => `$JS.API.STREAM.${verb}.KEEPWARD_EVENTS${rest}`
    for (const subject of [
      ...['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'SNAPSHOT', 'RESTORE', 'MSG.GET', 'MSG.DELETE'].map((verb) =>
        stream(verb),
      ),
      ...['UPDATE', 'DELETE', 'PURGE'].map((verb) => `$JS.API.STREAM.${verb}.KV_keepward-state`),
      '$JS.API.STREAM.CREATE.OTHER',
      '$JS.API.CONSUMER.CREATE.KEEPWARD_EVENTS',
      '$JS.API.CONSUMER.DURABLE.CREATE.KEEPWARD_EVENTS.x',
      '$JS.API.DIRECT.GET.KEEPWARD_EVENTS',
      '$JS.API.DIRECT.GET.KEEPWARD_EVENTS.keepward.v1.event.host1.r1',
      '$JS.API.DIRECT.GET.KV_keepward-state.$KV.keepward-state.host1.r1',
      'keepward.v1.event.host1.r1',
      'keepward.v1.event.host2.r1.x',
      '$KV.keepward-state.host1.r1',
      '$KV.keepward-agents.host1',
      '_INBOX.host1.x',
      '$SYS.REQ.SERVER.PING',
    ])
      expect([subject, await refused(agent, subject)]).toEqual([subject, true])
    for (const subject of ['_INBOX.>', '_INBOX.host1.>', 'keepward.>', '>', '$KV.>', '$JS.API.>'])
      expect([subject, await refusedToListen(agent, subject)]).toEqual([subject, true])
    // Its own are as they must be, so that the above shows something.
    expect(await refused(agent, 'keepward.v1.event.host2.r1')).toBe(false)
    expect(await refusedToListen(agent, '_INBOX.host2.x')).toBe(false)
  })

  test('an agent empties no bucket by a rollup of its own key', async () => {
    await using agent = await as('host2')
    for (const stream of ['$KV.keepward-state.host2.r1', '$KV.keepward-agents.host2', 'keepward.v1.event.host2.r1'])
      for (const rollup of ['all', 'sub']) {
        const said = headers()
        said.set('Nats-Rollup', rollup)
        await expect(jetstream(agent).publish(stream, 'x', { headers: said })).rejects.toThrow('rollup not permitted')
      }
    await using consumer = await as('consumer')
    expect(await valueIn(consumer, 'keepward-state', 'host1.r1')).toMatchObject({ router: 'r1' })
  })

  test('an agent has no answer of the server stored as the word of another, or carried out as an order', async () => {
    await using agent = await as('host2')
    const own = '$KV.keepward-state.host2.r9'
    const victims = ['keepward.v1.event.host1.r9', '$KV.keepward-state.host1.r1', '$KV.keepward-agents.host1']
    const orders = ['DELETE', 'PURGE', 'UPDATE'].map((verb) => `$JS.API.STREAM.${verb}.KV_keepward-agents`)
    const changed = { name: 'KV_keepward-agents', subjects: ['x'] }
    // Nothing is an order to delete or purge, and a config one to update.
    for (const words of ['', JSON.stringify(changed), JSON.stringify({ agent: 'host1', router: 'r1', seq: 99 })]) {
      await agent.request(own, words)
      for (const reply of [...victims, ...orders]) {
        agent.publish(`$JS.API.DIRECT.GET.KV_keepward-state.${own}`, '', { reply })
        agent.publish('keepward.v1.api.STREAM.INFO.KEEPWARD_EVENTS', '', { reply })
        agent.publish('keepward.v1.event.host2.r9', '{}', { reply })
      }
    }
    // One connection's words are heard in order: what the server was to answer it has answered.
    await agent.request(own, 'last')
    await using other = await as('host1')
    expect(await checkNats(other)).toEqual([])
    await using consumer = await as('consumer')
    const told = await storedEvents(consumer)
    const ofOther = told.map(({ subject }) => subject).filter((subject) => subject.includes('.host1.'))
    expect(ofOther).toEqual(['keepward.v1.event.host1.r1'])
    expect(await valueIn(consumer, 'keepward-state', 'host1.r1')).toMatchObject({ router: 'r1', seq: 1 })
    expect(await valueIn(consumer, 'keepward-agents', 'host1')).toMatchObject({ agent: 'host1', health: 'healthy' })
  })

  test('a server of another CA, of another name or in the clear is not spoken to', async () => {
    await using stranger = await deploy(1)
    const [settings, tools] = secured(deployed)
    const trouble = async (servers: readonly string[], change = {}) => {
      await using watched = watchedSink({ ...settings, servers, ...change }, tools)
      return await until('it says why', () =>
        watched.state.trouble?.text === 'not connected yet' ? undefined : watched.state.trouble,
      )
    }
    const [port = 0] = deployed.servers.map((server) => server.port)
    const at = (place: string) => `NATS at ${place} is not believed`
    expect((await trouble(stranger.urls)).text).toContain('is not believed: ')
    expect((await trouble([`tls://localhost:${String(port)}`])).text).toContain(at(`localhost:${String(port)}`))
    expect((await trouble([`nats://127.0.0.1:${String(port)}`])).text).toBe(
      `nats://127.0.0.1:${String(port)} would be spoken to in the clear, which is not allowed`,
    )
    expect((await trouble([`nats://127.0.0.1:${String(port)}`], { plaintext: true })).text).toBe(
      `NATS at 127.0.0.1:${String(port)} wants TLS`,
    )
  })

  test('an NKey that is replaced on both sides is taken up without a restart of the agent', async () => {
    const [settings, tools] = secured(deployed)
    let seed = deployed.seeds.host1
    await using watched = watchedSink(settings, { ...tools, readSecret: () => Promise.resolve(seed) })
    await until('it is there', () => watched.state.trouble === undefined)
    const next = deployed.rotate('host1')
    await until('it is let in no more', () => watched.state.trouble !== undefined)
    await until(
      'it says so',
      () => watched.state.trouble?.text.includes('does not let us in: it does not know') === true,
    )
    seed = next
    await until('it is there again', () => watched.state.trouble === undefined)
  })

  test('users.conf holds the permissions that this version needs', () => {
    const text = readFileSync(join(import.meta.dirname, '..', '..', 'deploy', 'nats', 'users.conf'), 'utf8')
    const listed = [...text.matchAll(/^ +"(.*)"$/gm)].map(([, subject]) => subject)
    const wanted = [operatorPermissions, consumerPermissions('_INBOX.consumer'), agentPermissions('host1')]
    expect(listed).toEqual(wanted.flatMap(({ publish, subscribe }) => [...publish, ...subscribe]))
    const exported = [...text.matchAll(/^ +\{ service: "(.*)" \}$/gm)].map(([, subject]) => subject)
    expect(exported).toEqual(exportedServices)
    expect(text).toContain(accountText('host1', 'UHOST1').replaceAll(/^/gm, '  '))
  })
})

test('deploy/nats/cluster.conf: three servers keep all of it three times, and one may go', async () => {
  await using deployed = await deploy(3)
  const set = await until('the cluster has a leader', async () => {
    const [status, text] = await setup(deployed)
    return status === 0 && text
  })
  expect(set).toMatch(/KEEPWARD_EVENTS +3 /)
  await using store = testJournal()
  const journal = await store.open()
  const [settings, tools] = secured(deployed)
  await using reporter = await reporterOf(journal, settings, { tools })
  await journal.append(transition('r1')).durable
  await until('the first is told', () => reporter.status.delivered === 1)
  const operator = () =>
    connectAs(deployed.urls[0] ?? '', { ca: deployed.ca, seed: deployed.seeds.operator, inbox: '_INBOX.operator' })
  {
    await using connection = await operator()
    const { cluster, config } = await (
      await jetstreamManager(connection, { checkAPI: false })
    ).streams.info('KEEPWARD_EVENTS')
    expect([config.num_replicas, cluster?.replicas?.length]).toEqual([3, 2])
    await connection.close()
    const leader = deployed.servers[Number(cluster?.leader?.replace('nats', '')) - 1]
    await leader?.stop('SIGKILL')
  }
  const began = performance.now()
  for (let n = 0; n < 20; n++) await journal.append(transition(`r${String(n % 4)}`)).durable
  await until('the others are told', () => reporter.status.delivered === 21, 20_000)
  expect(performance.now() - began).toBeLessThan(15_000)
}, 60_000)

/** Whether the server says that this user may not publish there. */
async function refused(connection: NatsConnection, subject: string): Promise<boolean> {
  try {
    await connection.request(subject, '{}', { timeout: 2000 })
    return false
  } catch (error) {
    return error instanceof Error && error.cause instanceof PermissionViolationError
  }
}

async function refusedToListen(connection: NatsConnection, subject: string): Promise<boolean> {
  const subscription = connection.subscribe(subject, { callback: () => undefined })
  await connection.flush()
  const isRefused = subscription.isClosed()
  subscription.unsubscribe()
  return isRefused
}
