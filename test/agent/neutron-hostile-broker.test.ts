import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  amqpAck,
  amqpCallHello,
  amqpClose,
  amqpHeartbeat,
  amqpHello,
  amqpMessage,
  amqpStart,
  amqpStray,
  amqpTuneTo,
  answering,
  BadBroker,
} from '../support/bad-broker.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { until } from '../support/until.ts'

/* A broker that speaks AMQP and means ill: it costs its own connection at most, and nobody is told a lie. */

const sinkOn = (broker: BadBroker, method: 'call' | 'cast' = 'cast') =>
  neutronSink({ brokers: [broker.url], plaintext: true, method })

const report = (at = 1) => reportOf(routerOf(at), 'primary')
const signal = (ms = 5000) => AbortSignal.timeout(ms)

test.each([
  ['no heartbeat, no bound of channels or frames', amqpTuneTo(0, 0, 0), '0000 00020000 000f'],
  ['the most of everything', amqpTuneTo(65_535, 2 ** 32 - 1, 65_535), 'ffff 00020000 000f'],
  ['the least of everything', amqpTuneTo(1, 4096, 1), '0001 00001000 0001'],
])('a broker that wants %s is sent to, with a heartbeat and frames that are bounded', async (_, tune, tuned) => {
  let said = ''
  await using broker = await BadBroker.start((socket) => {
    socket.on('data', (bytes) => (said += bytes.toString('hex')))
    answering([amqpStart, tune, ...amqpHello.slice(2)], (to) => to.write(amqpAck(1n)))(socket)
  })
  await using it = sinkOn(broker)
  await it.there()
  await it.sink.send(report(), signal())
  // connection.tune-ok: channels, bytes a frame, seconds.
  expect(said).toContain(`000a001f${tuned.replaceAll(' ', '')}ce`)
})

test('a broker whose frames are too short for the protocol is not used', async () => {
  await using broker = await BadBroker.start(answering([amqpStart, amqpTuneTo(1, 8, 1)]))
  await using it = sinkOn(broker)
  await it.trouble(/breaks off: Server frameMax 8 is below the protocol minimum 4096$/)
})

test.each([
  [320, 'CONNECTION_FORCED - go to amqp://other', /breaks off: it closes the connection$/, 'unreachable'],
  [200, 'bye', /breaks off: it closes the connection$/, 'unreachable'],
  [530, 'NOT_ALLOWED - vhost gone', /has no virtual host \/ that the user neutron may use$/, 'not-ready'],
  [501, 'x'.repeat(255), /breaks off: Connection closed: 501 .{0,200}\.\.\.$/, 'unreachable'],
] as const)('connection.close %i is said, leads nowhere else, and is tried again', async (code, text, says, kind) => {
  await using broker = await BadBroker.start((socket) => {
    answering(amqpHello, (to) => to.write(amqpClose(code, text)))(socket)
  })
  await using it = sinkOn(broker)
  await it.there()
  await expect(it.sink.send(report(), signal())).rejects.toThrow(/lost|not confirmed/)
  await until('it is said', () => it.states.some(({ trouble }) => says.test(trouble?.text ?? '')))
  expect(it.states.find(({ trouble }) => says.test(trouble?.text ?? ''))?.trouble?.kind).toBe(kind)
  await it.there()
  expect(broker.connections).toBeGreaterThan(1)
})

test('a broker that breaks the protocol, lives on and never agrees to part is left at once', async () => {
  await using broker = await BadBroker.start((socket) => {
    const beat = setInterval(() => socket.write(amqpHeartbeat), 200)
    socket.on('close', () => {
      clearInterval(beat)
    })
    answering(amqpHello, (to) => to.write(amqpStray))(socket)
  })
  await using it = sinkOn(broker)
  await it.there()
  await expect(it.sink.send(report(), signal())).rejects.toThrow(/lost|not confirmed/)
  await until('it is said', () => it.states.some(({ trouble }) => /Frame on unknown channel/.test(trouble?.text ?? '')))
  await until('it is tried anew', () => broker.connections > 1 && broker.open <= 1)
})

test('a confirmation of what was never sent ends the connection, and costs no time', async () => {
  await using broker = await BadBroker.start(answering(amqpHello, (socket) => socket.write(amqpAck(4_000_000_000n))))
  await using it = sinkOn(broker)
  await it.there()
  const beganMs = performance.now()
  await expect(it.sink.send(report(), signal())).rejects.toThrow(/lost|not confirmed/)
  await until('it is said', () =>
    it.states.some(({ trouble }) => /confirms what was not sent$/.test(trouble?.text ?? '')),
  )
  expect(performance.now() - beganMs).toBeLessThan(3000)
})

test('a broker that lives and confirms nothing is left after 1000 messages, so that they do not pile up', async () => {
  await using broker = await BadBroker.start((socket) => {
    const beat = setInterval(() => socket.write(amqpHeartbeat), 200)
    socket.on('close', () => {
      clearInterval(beat)
    })
    answering(amqpHello)(socket)
  })
  await using it = sinkOn(broker)
  await it.there()
  const given = AbortSignal.abort()
  for (let at = 0; at < 1000; at++) await expect(it.sink.send(report(at), given)).rejects.toThrow('not confirmed')
  expect(it.state?.trouble).toBeUndefined()
  await expect(it.sink.send(report(), given)).rejects.toThrow(/lost|not confirmed/)
  await until('it is said', () => it.states.some(({ trouble }) => /confirms nothing$/.test(trouble?.text ?? '')))
  await it.there()
  expect(broker.connections).toBe(2)
})

const replyOf = (id: string, failure: string | null) =>
  amqpMessage(
    Buffer.from(
      JSON.stringify({
        'oslo.version': '2.0',
        'oslo.message': JSON.stringify({ result: null, failure, ending: true, _msg_id: id, _unique_id: id }),
      }),
    ),
  )

test('answers to what nobody asked are dropped: no report counts as handled, and no memory is kept', async () => {
  const strange = replyOf('0'.repeat(32), null)
  let poured = 0
  await using broker = await BadBroker.start(
    answering(amqpCallHello, (socket) => {
      // Confirmed, and 20,000 answers to other calls.
      socket.write(amqpAck(1n))
      const pour = () => {
        while (poured < 20_000 && socket.writable) {
          poured += 1
          if (!socket.write(strange)) break
        }
      }
      socket.on('drain', pour)
      pour()
    }),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  let late = 0
  const ticks = setInterval(() => (late += 1), 10)
  await expect(it.sink.send(report(), signal(3000))).rejects.toThrow('has not answered in time')
  clearInterval(ticks)
  expect(poured).toBe(20_000)
  // The process had its turns meanwhile.
  expect(late).toBeGreaterThan(20)
  expect(it.state?.trouble).toBeUndefined()
})

test('a failure of a megabyte is an excerpt, one that is longer ends the connection', async () => {
  let length = 900_000
  await using broker = await BadBroker.start(
    answering(amqpCallHello, (socket, said) => {
      const id = /_msg_id\\":\s*\\"([0-9a-f]{32})/.exec(said.toString())?.[1]
      if (id === undefined) return
      socket.write(amqpAck(1n))
      socket.write(replyOf(id, JSON.stringify({ class: 'X'.repeat(length), message: 'm', args: [] })))
    }),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  const error: unknown = await it.sink.send(report(), signal()).catch((reason: unknown) => reason)
  expect(String(error)).toMatch(/^Error: Neutron's server fails: X{200}\.\.\.$/)
  expect(it.state?.trouble).toBeUndefined()
  length = 2_000_000
  await using other = sinkOn(broker, 'call')
  await other.there()
  await expect(other.sink.send(report(), signal())).rejects.toThrow()
  await until('it is said', () => other.states.some(({ trouble }) => /in one message$/.test(trouble?.text ?? '')))
})

test('a queue of a name of the broker’s own changes nothing: the answer is wanted in ours', async () => {
  let said = ''
  await using broker = await BadBroker.start((socket) => {
    socket.on('data', (bytes) => (said += bytes.toString('latin1')))
    answering(amqpCallHello)(socket)
  })
  await using it = sinkOn(broker, 'call')
  await it.there()
  await expect(it.sink.send(report(), signal(300))).rejects.toThrow(/not confirmed|not answered/)
  await until('it came', () => /_reply_q\\":\\"reply_[0-9a-f]{32}\\"/.test(said))
  await wait(0)
})
