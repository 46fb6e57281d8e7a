import { afterAll, beforeAll, expect, test } from 'vitest'
import { installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { RpcServer } from '../support/rpc-server.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { until } from '../support/until.ts'

let broker: Rabbitmq

beforeAll(async () => {
  installRabbitmq()
  broker = await Rabbitmq.start()
}, 600_000)

afterAll(() => broker[Symbol.asyncDispose]())

const signal = () => AbortSignal.timeout(10_000)

test('send() resolves when the handler of a real oslo.messaging server is through, and that server has what Neutron’s agent would send', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  await using it = neutronSink({ brokers: [`amqp://127.0.0.1:${String(broker.port)}`], plaintext: true })
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
})
