import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import {
  amqpDelivery,
  amqpEndless,
  amqpHeartbeat,
  amqpHello,
  amqpNested,
  amqpSecure,
  amqpStart,
  amqpStartOf,
  amqpTune,
  answering,
  BadBroker,
} from '../support/bad-broker.ts'
import { neutronSink, reportOf, routerOf } from '../support/neutron-sink.ts'
import { until } from '../support/until.ts'

const quickHello = [amqpStart, amqpTune(true), ...amqpHello.slice(2)]

const bad: Readonly<Record<string, { act: (socket: Socket) => void; says: RegExp }>> = {
  'closes at once': {
    act: (socket) => {
      socket.end()
    },
    says: /breaks off: Socket closed abruptly during opening handshake$/,
  },
  'resets in mid-frame': {
    act: (socket) => {
      socket.write(amqpStart.subarray(0, 10), () => socket.resetAndDestroy())
    },
    says: /cannot be reached: ECONNRESET$/,
  },
  'closes in mid-frame': {
    act: (socket) => {
      socket.end(amqpStart.subarray(0, 10))
    },
    says: /breaks off: Socket closed abruptly during opening handshake$/,
  },
  'says garbage': {
    act: (socket) => {
      socket.write(Buffer.concat([Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), randomBytes(1000)]))
    },
    says: /breaks off: Frame size \d+ exceeds maxFrameSize 131072$/,
  },
  'says a frame that is too long': {
    act: (socket) => {
      const pour = () => {
        while (socket.writable && socket.write(Buffer.alloc(65_536)));
      }
      socket.write(amqpEndless(2 ** 31))
      socket.on('drain', pour)
      pour()
    },
    says: /breaks off: Frame size 2147483648 exceeds maxFrameSize 131072$/,
  },
  'answers with the header of another version': {
    act: (socket) => {
      socket.end('AMQP\u0000\u0000\u0009\u0000')
    },
    says: /breaks off: (Frame size \d+ exceeds maxFrameSize 131072|Socket closed abruptly during opening handshake)$/,
  },
  'beats only': {
    act: answering([amqpHeartbeat, amqpHeartbeat]),
    says: /breaks off: Expected ConnectionStart; got /,
  },
  'knows no PLAIN': {
    act: answering([amqpStartOf('SCRAM-SHA-256')]),
    says: /breaks off: SASL mechanism PLAIN is not provided by the server$/,
  },
  'asks back': {
    act: answering([amqpStart, amqpSecure]),
    says: /breaks off: Wasn't expecting to have to go through secure$/,
  },
  'says tables in tables, 20,000 deep': {
    act: answering([amqpStartOf('PLAIN', amqpNested(20_000))]),
    says: /breaks off: Maximum call stack size exceeded$/,
  },
  'says garbage once it is believed': {
    act: answering([...amqpHello.slice(0, 4), Buffer.alloc(20, 0xff)]),
    says: /breaks off: Frame size \d+ exceeds maxFrameSize 131072$/,
  },
}

test.each(Object.entries(bad))('a broker that %s is said, left alone, and tried again', async (_, { act, says }) => {
  await using broker = await BadBroker.start(act)
  await using it = neutronSink({ brokers: [broker.url], plaintext: true, method: 'cast' })
  await it.trouble(says)
  expect(it.state?.trouble?.kind).toBe('unreachable')
  await expect(it.sink.send(reportOf(routerOf(1), 'primary'), AbortSignal.timeout(5000))).rejects.toThrow(
    'No broker is connected',
  )
  await until('it was tried again', () => broker.connections >= 3)
  await until('one connection is open at most', () => broker.open <= 1)
})

test('a broker that accepts and never answers is given up after 10 s, and the next one tried', async () => {
  await using silent = await BadBroker.start(() => undefined)
  await using slow = await BadBroker.start((socket) => {
    // A byte a second keeps no deadline off.
    let at = 0
    const drip = setInterval(() => {
      socket.write(amqpStart.subarray(at, at + 1))
      at = Math.min(at + 1, 10)
    }, 1000)
    socket.on('close', () => {
      clearInterval(drip)
    })
  })
  await using it = neutronSink({ brokers: [silent.url, slow.url], plaintext: true })
  await it.trouble(/says nothing for 10 s$/, 12_000)
  await until('its socket is gone', () => silent.open === 0)
  await until('the next is tried', () => slow.connections === 1)
  await until('it is given up too', () => slow.open === 0 && silent.connections === 2, 13_000)
}, 40_000)

test('a broker that stops answering once a message is sent: the send ends with its signal, the connection with its heartbeat', async () => {
  await using broker = await BadBroker.start(answering(quickHello))
  await using it = neutronSink({ brokers: [broker.url], plaintext: true, method: 'cast' })
  await it.there()
  await expect(it.sink.send(reportOf(routerOf(1), 'primary'), AbortSignal.timeout(300))).rejects.toThrow(
    'The broker has not confirmed the message in time',
  )
  await it.trouble(/breaks off: Heartbeat timeout$/)
  await until('it is tried again', () => broker.connections >= 2)
})

test('a message that claims to be endless ends the connection, and is not gathered', async () => {
  await using broker = await BadBroker.start(answering([...amqpHello, amqpDelivery(2n ** 40n)]))
  await using it = neutronSink({ brokers: [broker.url], plaintext: true, method: 'cast' })
  await it.there()
  const sent = it.sink.send(reportOf(routerOf(1), 'primary'), AbortSignal.timeout(5000))
  await expect(sent).rejects.toThrow('The broker has not confirmed the message in time')
  await until('it is said', () =>
    it.states.some(({ trouble }) => trouble?.text.endsWith('says more than 1048576 bytes in one message') === true),
  )
})

test('close() ends in time while a broker hangs', async () => {
  await using silent = await BadBroker.start(() => undefined)
  const opening = neutronSink({ brokers: [silent.url], plaintext: true })
  await until('it is tried', () => silent.connections === 1)
  await opening.sink.close()
  await until('its socket is gone', () => silent.open === 0)
  await using deaf = await BadBroker.start(answering(amqpHello))
  const open = neutronSink({ brokers: [deaf.url], plaintext: true, method: 'cast' })
  await open.there()
  await open.sink.close()
  await until('its socket is gone', () => deaf.open === 0)
})

test('a password that cannot be read is said, and asked for again', async () => {
  await using broker = await BadBroker.start(() => undefined)
  let asked = 0
  await using it = neutronSink({
    ...{ brokers: [broker.url], plaintext: true },
    readPassword: () => {
      asked += 1
      return Promise.reject(new Error('Vault is sealed'))
    },
  })
  await it.trouble(/is not tried: Vault is sealed$/)
  await until('it is asked again', () => asked > 1)
  expect(broker.connections).toBe(0)
})
