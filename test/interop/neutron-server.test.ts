import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Reporter, type ReporterParts } from '../../src/report/reporter.ts'
import { makeCertificates } from '../support/certificates.ts'
import { heartbeat } from '../support/far-end.ts'
import { testJournal, transition } from '../support/journal.ts'
import { brokerUser, installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { RpcServer } from '../support/rpc-server.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { until } from '../support/until.ts'

let broker: Rabbitmq
let certificates: string
let plain: { brokers: string[]; plaintext: true }

beforeAll(async () => {
  installRabbitmq()
  certificates = mkdtempSync(join(tmpdir(), 'keepward-certificates-'))
  makeCertificates(certificates, ['DNS:localhost'])
  broker = await Rabbitmq.start(certificates)
  plain = { brokers: [`amqp://127.0.0.1:${String(broker.port)}`], plaintext: true }
}, 600_000)

afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  rmSync(certificates, { recursive: true })
})

const signal = (ms = 10_000) => AbortSignal.timeout(ms)

test('send() resolves when the handler of a real oslo.messaging server is through, and that server has what Neutron’s agent would send', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink(plain)
  await it.there()
  await server.behave({ sleepMs: [300, 300] })
  const beganMs = performance.now()
  await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
  expect(performance.now() - beganMs).toBeGreaterThan(299)
  await until('it says what it handled', () => server.handled.length === 1)
  expect(server.handled[0]).toMatchObject({ host: 'network-1', states: { [routerOf(1)]: 'active' } })
  expect(server.handled[0]?.context).toMatchObject({
    is_admin: true,
    user_identity: '- - - - -',
    request_id: expect.stringMatching(/^req-[0-9a-f-]{36}$/) as string,
  })
  expect(it.state?.insecure).toMatch(/^The way to amqp:\/\/127\.0\.0\.1:\d+ is not encrypted/)
})

test('send() as a cast resolves when the broker has it, and the server handles it', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink({ ...plain, method: 'cast' })
  await it.there()
  await it.sink.send(reportOf(routerOf(1), 'fault'), signal())
  await until('it is handled', () => server.states[routerOf(1)]?.join() === 'standby')
})

test('send() rejects with class and message when the handler raises, and the same report goes through later', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink(plain)
  await it.there()
  await server.behave({ fail: 'database\u001b[2J is away' })
  const report = reportOf(routerOf(1), 'backup')
  await expect(it.sink.send(report, signal())).rejects.toThrow(
    "Neutron's server fails: ValueError: database\\u{1b}[2J is away",
  )
  await server.behave({ fail: null })
  await it.sink.send(report, signal())
  expect(it.state?.trouble).toBeUndefined()
})

test('a server that does not know version 1.5 is a thing not ready', async () => {
  await using server = await RpcServer.start({ port: broker.port, version: '1.4' })
  await using it = neutronSink(plain)
  await it.there()
  await expect(it.sink.send(reportOf(routerOf(1), 'backup'), signal())).rejects.toThrow('UnsupportedVersion')
  expect(it.state?.trouble).toMatchObject({ kind: 'not-ready', text: expect.stringContaining('1.5') as string })
  await it.there()
  expect(server.handled).toEqual([])
})

test('what is on the wire is what neutron.md 8 has', async () => {
  const virtualHost = await broker.addVirtualHost('wire')
  const { user, password } = brokerUser
  const model = await connect(`amqp://${user}:${password}@127.0.0.1:${String(broker.port)}/wire`)
  try {
    const channel = await model.createChannel()
    await channel.assertExchange('neutron', 'topic', { durable: false })
    await channel.assertQueue('q-l3-plugin', { durable: false })
    await channel.bindQueue('q-l3-plugin', 'neutron', 'q-l3-plugin')
    await using it = neutronSink({ ...plain, virtualHost, method: 'cast' })
    await using calling = neutronSink({ ...plain, virtualHost })
    await Promise.all([it.there(), calling.there()])
    await it.sink.send(reportOf(routerOf(7), 'unknown'), signal())
    const cast = await channel.get('q-l3-plugin', { noAck: true })
    if (cast === false) throw new Error('There is no cast')
    expect(cast.properties).toMatchObject({
      ...{ contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 2, priority: 0, headers: {} },
      ...{ expiration: undefined, replyTo: undefined, correlationId: undefined },
    })
    expect(cast.fields).toMatchObject({ exchange: 'neutron', routingKey: 'q-l3-plugin' })
    const given = calling.sink.send(reportOf(routerOf(7), 'primary'), signal(500))
    await expect(given).rejects.toThrow("Neutron's server has not answered in time")
    const call = await channel.get('q-l3-plugin', { noAck: true })
    if (call === false) throw new Error('There is no call')
    expect(call.properties).toMatchObject({ expiration: '9000' })
    const { _reply_q: replyQueue } = JSON.parse(
      (JSON.parse(call.content.toString()) as Record<string, string>)['oslo.message'] ?? '',
    ) as Record<string, string>
    expect(replyQueue).toMatch(/^reply_[0-9a-f]{32}$/)
    const queues = await broker.control('list_queues', '-p', 'wire', 'name', 'durable', 'arguments')
    expect(queues).toContain(`${replyQueue ?? ''}\tfalse\t[{"x-expires",1800000}]`)
  } finally {
    await model.close()
  }
})

test.each([
  { what: 'durable', rabbit: { amqp_durable_queues: true }, replyQueue: 'transient' },
  { what: 'quorum', rabbit: { rabbit_quorum_queue: true }, replyQueue: 'quorum' },
] as const)('the $what variant of exchange and queues works', async ({ what, rabbit, replyQueue }) => {
  const virtualHost = await broker.addVirtualHost(what)
  await using server = await RpcServer.start({ port: broker.port, virtualHost, rabbit })
  await using it = neutronSink({ ...plain, virtualHost, replyQueue })
  await it.there()
  await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
  await until('it is handled', () => server.states[routerOf(1)]?.join() === 'active')
  const queues = await broker.control('list_queues', '-p', virtualHost, 'name', 'type', 'durable')
  expect(queues).toMatch(replyQueue === 'quorum' ? /^reply_\S+\tquorum\ttrue$/m : /^reply_\S+\tclassic\tfalse$/m)
})

test('without a Neutron nothing is made: the sink is not ready until a server comes, and again when its queue goes', async () => {
  const virtualHost = await broker.addVirtualHost('empty')
  await using it = neutronSink({ ...plain, virtualHost })
  await it.trouble(/has no exchange neutron: neutron-server makes it when it first starts$/)
  expect(it.state?.trouble?.kind).toBe('not-ready')
  const exchanges = await broker.control('list_exchanges', '-p', virtualHost, 'name')
  expect(exchanges).not.toContain('neutron')
  {
    await using server = await RpcServer.start({ port: broker.port, virtualHost })
    await it.there(30_000)
    await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
    await until('it is handled', () => server.handled.length === 1)
  }
  // Nobody reads the queue: the call is not answered, and no other queue is tried.
  await expect(it.sink.send(reportOf(routerOf(1), 'backup'), signal(1000))).rejects.toThrow('has not answered in time')
  await broker.control('delete_queue', '-p', virtualHost, 'q-l3-plugin')
  await expect(it.sink.send(reportOf(routerOf(1), 'backup'), signal())).rejects.toThrow(
    'Nobody listens on the topic q-l3-plugin',
  )
  expect(it.state?.trouble).toEqual({
    kind: 'not-ready',
    text: 'Nobody listens on the topic q-l3-plugin: does neutron-server run?',
  })
  await it.there()
  // It may be tried, and is not well before that succeeds.
  expect(it.state).toMatchObject({ trouble: { kind: 'not-ready' }, isTried: true })
  await using server = await RpcServer.start({ port: broker.port, virtualHost })
  await it.sink.send(reportOf(routerOf(1), 'backup'), signal())
  await until('it is handled', () => server.states[routerOf(1)]?.at(-1) === 'standby')
  expect(it.state?.trouble).toBeUndefined()
})

test('a state that a server takes long over does not stand against a later one (item 40)', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink(plain)
  await it.there()
  await server.behave({ sleepMs: [3000, 3000] })
  await expect(it.sink.send(reportOf(routerOf(1), 'primary'), signal(500))).rejects.toThrow('has not answered in time')
  await server.behave({ sleepMs: [0, 0] })
  await it.sink.send(reportOf(routerOf(1), 'backup'), signal())
  await until('the newest stands at last', () => server.states[routerOf(1)]?.join() === 'standby,active,standby')
})

test('TLS: a broker is believed by its CA and its name', async () => {
  const other = join(certificates, 'other')
  mkdirSync(other)
  makeCertificates(other, ['DNS:localhost'])
  await using server = await RpcServer.start({ port: broker.port })
  const tls = (host: string) => ({ brokers: [`amqps://${host}:${String(broker.tlsPort)}`] })
  await using wrongCa = neutronSink({ ...tls('localhost'), caFile: join(other, 'ca.pem') })
  await using wrongName = neutronSink({ ...tls('127.0.0.1'), caFile: join(certificates, 'ca.pem') })
  await using right = neutronSink({ ...tls('localhost'), caFile: join(certificates, 'ca.pem') })
  await right.there()
  expect(right.state).toEqual({ trouble: undefined, insecure: undefined })
  await right.sink.send(reportOf(routerOf(1), 'primary'), signal())
  await until('it is handled', () => server.handled.length === 1)
  await wrongCa.trouble(/is not believed: \w*SIGNATURE|is not believed: \w*CERT/)
  await wrongName.trouble(/is not believed: ERR_TLS_CERT_ALTNAME_INVALID$/)
})

test('a wrong password is said, is nowhere shown, and a right one is taken up', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  let password = 'hunter-two'
  await using it = neutronSink({ ...plain, readPassword: () => Promise.resolve(password) })
  await it.trouble(/refuses the user neutron or its password$/)
  expect(it.state?.trouble?.kind).toBe('not-ready')
  expect(JSON.stringify(it.states)).not.toContain('hunter')
  password = brokerUser.password
  await it.there()
  await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
  await until('it is handled', () => server.handled.length === 1)
})

/** A reporter with a journal of its own, and what the journal says of each router. */
async function reporting(parts: Pick<ReporterParts, 'sink'>) {
  const store = testJournal()
  const journal = await store.open()
  const newest = new Map<string, string>()
  const reporter = await Reporter.start({
    ...{ journal, name: 'neutron', delivery: 'latest', repeatMs: 600_000, ...parts },
    routers: () => new Set(newest.keys()),
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })
  return {
    reporter,
    newest,
    append(router: string, to: string) {
      newest.set(router, to === 'primary' ? 'active' : 'standby')
      return journal.append(transition(router, { from: 'unknown', to })).durable
    },
    isQuiet: () => reporter.status.waiting === 0,
    async [Symbol.asyncDispose]() {
      await reporter[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

const lastOf = (states: Record<string, string[]>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(states).map(([router, said]) => [router, said.at(-1)]))

test('of each router one message is under way: a handler that sleeps at random ends with the newest of each (item 40)', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink({ ...plain, primaryDelayMs: 0 })
  await it.there()
  await server.behave({ sleepMs: [0, 50] })
  await using far = await reporting(it)
  for (let round = 0; round < 60; round++)
    for (let at = 0; at < 8; at++) await far.append(routerOf(at), (round + at) % 2 === 0 ? 'primary' : 'backup')
  await until('the server has the newest of each', () => {
    expect(lastOf(server.states)).toEqual(Object.fromEntries(far.newest))
    return far.isQuiet()
  })
  expect(far.reporter.status).toMatchObject({ failures: 0, lastError: undefined })
  // Never twice the same: nothing was overtaken and told again.
  for (const said of Object.values(server.states)) expect(said.every((one, at) => one !== said[at - 1])).toBe(true)
})

test('a broker that is killed in mid-stream and comes back has lost everything, and the server ends with the newest of each', async () => {
  await using own = await Rabbitmq.start()
  await using server = await RpcServer.start({ port: own.port })
  await using it = neutronSink({
    brokers: [`amqp://127.0.0.1:${String(own.port)}`],
    plaintext: true,
    primaryDelayMs: 0,
  })
  await it.there()
  await using far = await reporting(it)
  const stream = async (rounds: number) => {
    for (let round = 0; round < rounds; round++)
      await Promise.all(
        [...Array(20).keys()].map((at) => far.append(routerOf(at), Math.random() < 0.5 ? 'primary' : 'backup')),
      )
  }
  const first = stream(100)
  await until('some is told', () => server.handled.length > 20)
  await own.kill()
  await it.trouble(/^Broker amqp:\/\/127\.0\.0\.1:\d+ (cannot be reached: ECONN|breaks off)/)
  await first
  await stream(5)
  await own.startBroker()
  await until('all is told', () => far.isQuiet() && it.state?.trouble === undefined, 60_000)
  await until('the server has it', () => {
    expect(lastOf(server.states)).toEqual(Object.fromEntries(far.newest))
    return true
  })
})

test('a broker that is short of disk is said, and what waited goes through when it has room', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink(plain)
  await it.there()
  await broker.control('set_disk_free_limit', '9000GB')
  // It says so to those who publish.
  const waiting = it.sink.send(reportOf(routerOf(1), 'primary'), signal(60_000))
  await it.trouble(/takes no messages until it has room again: low on disk$/)
  await broker.control('set_disk_free_limit', '1MB')
  await it.there()
  await waiting
  await until('it is handled', () => server.states[routerOf(1)]?.includes('active') === true)
})

test('of two brokers the one that lives is used', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink({ ...plain, brokers: ['amqp://127.0.0.1:1', ...plain.brokers] })
  await it.there()
  expect(it.states.map(({ trouble }) => trouble?.text)).toContain(
    'Broker amqp://127.0.0.1:1 cannot be reached: ECONNREFUSED',
  )
  await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
  await until('it is handled', () => server.handled.length === 1)
})

test('a message that broker and server may have or not is sent again as the same one', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink(plain)
  await it.there()
  await broker.control('set_disk_free_limit', '9000GB')
  const report = reportOf(routerOf(3), 'primary')
  await expect(it.sink.send(report, signal(1000))).rejects.toThrow('not confirmed')
  const again = it.sink.send(report, signal(60_000))
  await broker.control('set_disk_free_limit', '1MB')
  // The first one came too: the server dropped one of them, and its answer serves both.
  await again
  // One more takes all that came before past the server.
  await it.sink.send(reportOf(routerOf(4), 'primary'), signal())
  await until('the later one is handled', () => server.states[routerOf(4)] !== undefined)
  expect(server.states[routerOf(3)]).toEqual(['active'])
})
