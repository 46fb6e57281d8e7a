import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { lastOf, telling } from '../support/neutron-agent.ts'
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

test('a broker that is killed in mid-stream and comes back has lost everything, and the server ends with the newest of each', async () => {
  await using own = await Rabbitmq.start()
  await using server = await RpcServer.start({ port: own.port })
  await using it = neutronSink({
    brokers: [`amqp://127.0.0.1:${String(own.port)}`],
    plaintext: true,
    primaryDelayMs: 0,
  })
  await it.there()
  await using far = await telling(it.sink)
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
