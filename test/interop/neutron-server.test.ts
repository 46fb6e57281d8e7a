import { connect } from 'amqplib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encode, newId, newRequestId } from '../../src/report/neutron/message.ts'
import { lastOf, telling } from '../support/neutron-agent.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { brokerUser, installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { RpcServer } from '../support/rpc-server.ts'
import { until } from '../support/until.ts'

let broker: Rabbitmq
let plain: { brokers: string[]; plaintext: true }

beforeAll(async () => {
  installRabbitmq()
  broker = await Rabbitmq.start()
  plain = { brokers: [`amqp://127.0.0.1:${String(broker.port)}`], plaintext: true }
}, 600_000)

afterAll(() => broker[Symbol.asyncDispose]())

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

/** What an agent leaves behind that is killed while a call of its own is under way. */
async function leaveCall(router: string, state: 'active' | 'standby'): Promise<void> {
  const { user, password } = brokerUser
  const model = await connect(`amqp://${user}:${password}@127.0.0.1:${String(broker.port)}/`)
  const channel = await model.createConfirmChannel()
  const replyQueue = `reply_${newId()}`
  await channel.assertQueue(replyQueue, { durable: false, arguments: { 'x-expires': 1_800_000 } })
  const { content, properties } = encode({
    ...{ host: 'network-1', states: { [router]: state }, uniqueId: newId(), requestId: newRequestId() },
    atMs: Date.now(),
    call: { id: newId(), replyQueue, timeoutMs: 9000 },
  })
  channel.publish('neutron', 'q-l3-plugin', content, properties)
  await channel.waitForConfirms()
  await model.close()
}

test('a call of an agent that was killed, which a server carries out after what the next one says, is mended 15 s after that connected (item 40)', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await server.behave({ sleepMs: [6000, 6000] })
  await leaveCall(routerOf(1), 'active')
  await until('it is at it', () => server.begun === 1)
  await server.behave({ sleepMs: [0, 0] })
  await using it = neutronSink(plain)
  await it.there()
  const connectedMs = performance.now()
  await using next = await telling(it.sink)
  await next.append(routerOf(1), 'backup')
  await until('the older one stands', () => server.states[routerOf(1)]?.join() === 'standby,active')
  await until('the newest stands', () => server.states[routerOf(1)]?.join() === 'standby,active,standby', 20_000)
  expect(performance.now() - connectedMs).toBeLessThan(17_000)
})

test('of each router one message is under way: a handler that sleeps at random ends with the newest of each (item 40)', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink({ ...plain, primaryDelayMs: 0 })
  await it.there()
  await server.behave({ sleepMs: [0, 50] })
  await using far = await telling(it.sink)
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
