import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { brokerUser, installRabbitmq, Rabbitmq } from '../support/rabbitmq.ts'
import { RpcServer } from '../support/rpc-server.ts'
import { until } from '../support/until.ts'

let broker: Rabbitmq
let certificates: string

beforeAll(async () => {
  installRabbitmq()
  certificates = mkdtempSync(join(tmpdir(), 'keepward-certificates-'))
  makeCertificates(certificates, ['DNS:localhost'])
  broker = await Rabbitmq.start(certificates, 'certified')
}, 600_000)

afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  rmSync(certificates, { recursive: true })
})

const signal = (ms = 10_000) => AbortSignal.timeout(ms)

/** The commands of docs/neutron.md, as an operator copies them. */
const commands = (): string[][] => {
  const text = readFileSync(new URL('../../docs/neutron.md', import.meta.url), 'utf8')
  return [...text.matchAll(/^rabbitmqctl (.+)$/gm)].map(([, line = '']) =>
    [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? ''),
  )
}

test('the user of docs/neutron.md may do what the sink needs, and nothing that Neutron would heed beside', async () => {
  const wanted = commands()
  expect(wanted.map(([verb]) => verb)).toEqual(['add_user', 'set_permissions', 'set_topic_permissions'])
  for (const words of wanted) await broker.control(...words)
  await using server = await RpcServer.start({ port: broker.port })
  const plain = { brokers: [`amqp://127.0.0.1:${String(broker.port)}`], plaintext: true, user: 'keepward' } as const
  const readPassword = () => Promise.resolve('PASSWORD')
  for (const method of ['call', 'cast'] as const)
    for (const replyQueue of ['transient', 'quorum'] as const) {
      await using it = neutronSink({ ...plain, readPassword, method, replyQueue })
      await it.there()
      await it.sink.send(reportOf(routerOf(1), 'primary'), signal())
    }
  await until('each is handled', () => server.handled.length === 4)
  // Each has taken its queue with it.
  expect(await broker.control('list_queues', 'name')).not.toContain('reply_')
  const model = await connect(`amqp://keepward:PASSWORD@127.0.0.1:${String(broker.port)}/`)
  const may = async (what: (channel: Awaited<ReturnType<typeof model.createConfirmChannel>>) => Promise<unknown>) => {
    const channel = await model.createConfirmChannel()
    const { promise, resolve } = Promise.withResolvers<string>()
    channel.on('error', (error: Error) => {
      resolve(error.message)
    })
    await what(channel).then(
      () => {
        resolve('yes')
      },
      () => undefined,
    )
    return promise
  }
  try {
    const refused = /ACCESS.REFUSED/
    expect(await may((channel) => channel.consume('q-l3-plugin', () => undefined))).toMatch(refused)
    expect(await may((channel) => channel.assertQueue('q-other'))).toMatch(refused)
    expect(await may((channel) => channel.assertExchange('neutron2', 'topic'))).toMatch(refused)
    expect(await may((channel) => channel.deleteExchange('neutron'))).toMatch(refused)
    for (const key of ['q-reports-plugin', 'l3_agent', 'q-l3-plugin.controller1'])
      expect(
        await may(async (channel) => {
          channel.publish('neutron', key, Buffer.from('{}'))
          await channel.waitForConfirms()
        }),
      ).toMatch(refused)
  } finally {
    await model.close()
  }
})

test('a broker that wants to see a certificate is shown one, and refuses who has none or one of another CA', async () => {
  await using server = await RpcServer.start({ port: broker.port })
  const other = join(certificates, 'other')
  mkdirSync(other)
  makeCertificates(other, ['DNS:localhost'])
  // Whose key is read from its own source.
  copyFileSync(join(certificates, 'server.key'), join(certificates, 'agent.key'))
  const settings = { brokers: [`amqps://localhost:${String(broker.tlsPort)}`], caFile: join(certificates, 'ca.pem') }
  const shown = (directory: string, key: string) => ({
    ...settings,
    clientCertificate: {
      file: join(directory, 'server.pem'),
      key: { kind: 'file', path: join(directory, key) },
    } as const,
  })
  await using right = neutronSink(shown(certificates, 'agent.key'))
  await right.there()
  expect(right.state).toEqual({ trouble: undefined, insecure: undefined })
  await right.sink.send(reportOf(routerOf(1), 'primary'), signal())
  await until('it is handled', () => server.handled.length === 1)
  await using none = neutronSink(settings)
  await none.trouble(/^Broker amqps:\/\/localhost:\d+ (cannot be reached|is not believed|breaks off): /)
  await using foreign = neutronSink(shown(other, 'server.key'))
  await foreign.trouble(/^Broker amqps:\/\/localhost:\d+ (cannot be reached|is not believed|breaks off): /)
  for (const { states } of [right, none, foreign]) expect(JSON.stringify(states)).not.toContain(brokerUser.password)
})
