import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import {
  amqpAck,
  amqpBlocked,
  amqpCallHello,
  amqpCancel,
  amqpChannelClose,
  amqpHeaders,
  amqpHeartbeat,
  amqpHello,
  amqpMessage,
  amqpNack,
  amqpNested,
  amqpReturn,
  answering,
  BadBroker,
} from '../support/bad-broker.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { staysSo, until } from '../support/until.ts'

/* What a broker, or a server behind it, can answer to a message that was sent: each costs that message, or its connection. */

const report = (at = 1, to = 'primary') => reportOf(routerOf(at), to)
const signal = (ms = 5000) => AbortSignal.timeout(ms)

const sinkOn = (broker: BadBroker, method: 'call' | 'cast') =>
  neutronSink({ brokers: [broker.url], plaintext: true, method })

/** Calls `then` with each message that is sent: how many there were, and the ids that it bears. */
function served(method: 'call' | 'cast', then: (socket: Socket, at: bigint, ids: Ids, content: Buffer) => void) {
  return (socket: Socket) => {
    let at = 0n
    answering(method === 'call' ? amqpCallHello : amqpHello, (to, said) => {
      const from = said.indexOf('{"oslo.version"')
      // It parts: nobody has to wait for an answer.
      if (goodbyes.some((bytes) => said.includes(bytes))) to.destroy()
      if (from < 0) return
      at += 1n
      const content = said.subarray(from, -1)
      then(to, at, idsOf(content.toString()), content)
    })(socket)
  }
}

/** connection.close and queue.delete */
const goodbyes = [Buffer.from([0, 10, 0, 50]), Buffer.from([0, 50, 0, 40])]

interface Ids {
  readonly call: string
  readonly unique: string
}

const idsOf = (text: string): Ids => ({
  call: /_msg_id\\":\\"([0-9a-f]{32})/.exec(text)?.[1] ?? '',
  unique: /_unique_id\\":\\"([0-9a-f]{32})/.exec(text)?.[1] ?? '',
})

const reply = (inner: unknown): Buffer =>
  amqpMessage(Buffer.from(JSON.stringify({ 'oslo.version': '2.0', 'oslo.message': JSON.stringify(inner) })))

const done = (id: string) => ({ result: null, failure: null, ending: true, _msg_id: id, _unique_id: id })

test('a broker whose frames come a byte at a time is one like any other', async () => {
  await using broker = await BadBroker.start((socket) => {
    socket.setNoDelay(true)
    const write = socket.write.bind(socket)
    socket.write = (bytes: Uint8Array | string) => {
      for (const byte of Buffer.from(bytes as Uint8Array)) write(Buffer.from([byte]))
      return true
    }
    served('call', (to, at, { call }) => to.write(Buffer.concat([amqpAck(at), reply(done(call))])))(socket)
  })
  await using it = sinkOn(broker, 'call')
  await it.there()
  await it.sink.send(report(), signal())
  expect(broker.connections).toBe(1)
})

test('a broker that takes nothing for ever is said with an excerpt of why; what was under way is given up', async () => {
  await using broker = await BadBroker.start(
    served('cast', (socket) => {
      const beat = setInterval(() => socket.write(amqpHeartbeat), 200)
      socket.on('close', () => {
        clearInterval(beat)
      })
      socket.write(amqpBlocked(`low on \u001b]0;disk\u0007${'x'.repeat(230)}`))
    }),
  )
  await using it = sinkOn(broker, 'cast')
  await it.there()
  await expect(it.sink.send(report(), signal(500))).rejects.toThrow('not confirmed')
  expect(it.state?.trouble?.kind).toBe('unreachable')
  expect(it.state?.trouble?.text).toMatch(/until it has room again: low on \\u\{1b\}\]0;disk\\u\{7\}x{170,190}\.\.\.$/)
  // It stays what it is: another broker of the cluster has no more room.
  await staysSo('it is connected', () => broker.connections === 1 && broker.open === 1, 300)
})

test('a broker that refuses a message is asked again with a new one', async () => {
  const said: string[] = []
  await using broker = await BadBroker.start(
    served('cast', (socket, at, { unique }) => {
      said.push(unique)
      socket.write(at === 1n ? amqpNack(at) : amqpAck(at))
    }),
  )
  await using it = sinkOn(broker, 'cast')
  await it.there()
  const one = report()
  await expect(it.sink.send(one, signal())).rejects.toThrow('The broker refuses the message')
  await it.sink.send(one, signal())
  // It was in no queue, so that a server has not seen it.
  expect(new Set(said).size).toBe(2)
  expect(it.state?.trouble).toBeUndefined()
})

test('a message that comes back has nobody who listens; one that nobody sent changes nothing', async () => {
  await using broker = await BadBroker.start(
    served('cast', (socket, at, _, content) => {
      socket.write(Buffer.concat([amqpReturn(at === 1n ? Buffer.from('{}') : content), amqpAck(at)]))
    }),
  )
  await using it = sinkOn(broker, 'cast')
  await it.there()
  await it.sink.send(report(), signal())
  await expect(it.sink.send(report(), signal())).rejects.toThrow('Nobody listens on the topic q-l3-plugin')
  expect(it.state?.trouble?.kind).toBe('not-ready')
})

const long = `\u001b[2J${'x'.repeat(240)}`

test.each([
  [
    404,
    `NOT_FOUND - no queue ${long}`.slice(0, 255),
    /breaks off: Channel closed by server: 404 .{100,200}\.\.\.$/,
    'unreachable',
  ],
  [404, "NOT_FOUND - no exchange 'neutron'", /has no exchange neutron: neutron-server makes it/, 'not-ready'],
  [403, `ACCESS_REFUSED - ${'x'.repeat(230)}`, /does not allow the user neutron what is needed$/, 'not-ready'],
  [406, 'PRECONDITION_FAILED - inequivalent arg', /does not make the queue for answers of that kind/, 'not-ready'],
] as const)('channel.close %i is said, and all is opened anew', async (code, text, says, kind) => {
  await using broker = await BadBroker.start(served('call', (socket) => socket.write(amqpChannelClose(code, text))))
  await using it = sinkOn(broker, 'call')
  await it.there()
  await expect(it.sink.send(report(), signal())).rejects.toThrow(/lost|not confirmed/)
  await until('it is said', () => it.states.some(({ trouble }) => says.test(trouble?.text ?? '')))
  expect(it.states.find(({ trouble }) => says.test(trouble?.text ?? ''))?.trouble?.kind).toBe(kind)
  expect(JSON.stringify(it.states)).not.toContain('\\u001b')
  await it.there()
  await until('one connection is open', () => broker.connections > 1 && broker.open === 1)
})

test('a queue for answers that is taken away ends the connection, and is made anew', async () => {
  let isTaken = false
  await using broker = await BadBroker.start(
    served('call', (socket, at, { call }) => {
      if (!isTaken) socket.write(Buffer.concat([amqpAck(at), amqpCancel('c')]))
      else socket.write(Buffer.concat([amqpAck(at), reply(done(call))]))
      isTaken = true
    }),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  const one = report()
  await expect(it.sink.send(one, signal())).rejects.toThrow('has not answered in time')
  await until('it is said', () =>
    it.states.some(({ trouble }) => trouble?.text.endsWith('breaks off: the queue for answers was removed') === true),
  )
  await it.there()
  await it.sink.send(one, signal())
  expect(broker.connections).toBe(2)
})

test.each([
  ['no JSON', () => amqpMessage(Buffer.from('{"oslo.version":'))],
  ['no UTF-8', () => amqpMessage(Buffer.from([0xff, 0xfe, 0x00, 0xc3]))],
  ['nothing', () => amqpMessage(Buffer.alloc(0))],
  ['a list', () => reply([])],
  ['no envelope', (id: string) => amqpMessage(Buffer.from(JSON.stringify(done(id))))],
  ['another id', () => reply(done('f'.repeat(32)))],
  ['a sign of life only', (id: string) => reply({ ...done(id), ending: false })],
])('an answer of %s is none: the report does not count as handled', async (_, answer) => {
  await using broker = await BadBroker.start(
    served('call', (socket, at, { call }) => socket.write(Buffer.concat([amqpAck(at), answer(call)]))),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  await expect(it.sink.send(report(), signal(300))).rejects.toThrow('has not answered in time')
  expect(it.state?.trouble).toBeUndefined()
})

test.each([
  ['no ending', {}, /^Error: Neutron's server fails: an answer of an unknown form$/],
  ['an ending that is no truth', { ending: 1 }, /^Error: Neutron's server fails: an answer of an unknown form$/],
  [
    'a class of control characters and a traceback of 100 KB',
    {
      ending: true,
      failure: JSON.stringify({
        ...{ class: '__proto__\u001b[2J\u202e', message: `\r\n${'m'.repeat(5000)}` },
        tb: ['secret '.repeat(15_000)],
      }),
    },
    /^Error: Neutron's server fails: __proto__\\u\{1b\}\[2J\\u\{202e\}: \\u\{d\}\\u\{a\}m{100,200}\.\.\.$/,
  ],
])('an answer with %s is a failure in few plain words', async (_, rest, says) => {
  await using broker = await BadBroker.start(
    served('call', (socket, at, { call: id }) => {
      const { ending, ...without } = done(id)
      expect(ending).toBe(true)
      socket.write(Buffer.concat([amqpAck(at), reply({ ...without, ...rest })]))
    }),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  const error: unknown = await it.sink.send(report(), signal()).catch((reason: unknown) => reason)
  expect(String(error)).toMatch(says)
  expect(it.state?.trouble).toBeUndefined()
})

test('an answer that comes twice, or before the broker has confirmed, counts once and for its own message alone', async () => {
  const sent: string[] = []
  await using broker = await BadBroker.start(
    served('call', (socket, at, { call }) => {
      sent.push(call)
      const answers = at === 1n ? [reply(done(call)), amqpAck(at), reply(done(call)), amqpAck(at)] : [amqpAck(at)]
      socket.write(Buffer.concat(answers))
    }),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  await it.sink.send(report(), signal())
  await expect(it.sink.send(report(), signal(300))).rejects.toThrow('has not answered in time')
  expect(sent).toHaveLength(2)
})

test('headers of an answer that nest 20,000 deep end the connection', async () => {
  await using broker = await BadBroker.start(
    served('call', (socket, at) => socket.write(Buffer.concat([amqpAck(at), amqpHeaders(amqpNested(20_000))]))),
  )
  await using it = sinkOn(broker, 'call')
  await it.there()
  await expect(it.sink.send(report(), signal())).rejects.toThrow('has not answered in time')
  await until('it is said', () =>
    it.states.some(({ trouble }) => trouble?.text.endsWith('breaks off: Maximum call stack size exceeded') === true),
  )
})

test('keepOnly() forgets what was sent of a router that is gone, and keeps it of one that stays', async () => {
  const said: string[] = []
  await using broker = await BadBroker.start(served('cast', (_socket, _at, { unique }) => void said.push(unique)))
  await using it = sinkOn(broker, 'cast')
  await it.there()
  const [gone, stays] = [report(1), report(2)]
  const tell = async () => {
    for (const one of [gone, stays]) await expect(it.sink.send(one, signal(300))).rejects.toThrow('not confirmed')
  }
  await tell()
  await it.sink.keepOnly?.(new Set([routerOf(2)]), signal())
  await tell()
  await until('all is sent', () => said.length === 4)
  expect(said[3]).toBe(said[1])
  expect(said[2]).not.toBe(said[0])
})

test.each([
  [[routerOf(1)], 3],
  [[], 2],
] as const)(
  'keepOnly(%j): %i messages are sent when one that was given up is answered after a later one',
  async (kept, count) => {
    const sent: string[] = []
    let answer = (): void => undefined
    await using broker = await BadBroker.start(
      served('call', (socket, at, { call }) => {
        sent.push(call)
        if (at === 1n) answer = () => socket.write(reply(done(call)))
        socket.write(at === 1n ? amqpAck(at) : Buffer.concat([amqpAck(at), reply(done(call))]))
      }),
    )
    await using it = sinkOn(broker, 'call')
    await it.there()
    await expect(it.sink.send(report(1, 'primary'), signal(300))).rejects.toThrow('has not answered in time')
    await it.sink.send(report(1, 'backup'), signal())
    await it.sink.keepOnly?.(new Set(kept), signal())
    answer()
    await until('it is told again, where it is kept', () => sent.length >= count)
    await staysSo('no more is sent', () => sent.length === count, 300)
  },
)
