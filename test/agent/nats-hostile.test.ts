import { setTimeout as wait } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HostileNats } from '../support/hostile-nats.ts'
import { testJournal, transition } from '../support/journal.ts'
import { natsSettings, reporterOf, watchedSink } from '../support/nats-sink.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'
import { transitionReport } from '../support/webhook.ts'

const printed: string[] = []
const { log } = console
beforeEach(() => {
  printed.length = 0
  console.log = (...words: unknown[]) => printed.push(words.map(String).join(' '))
})
afterEach(() => {
  console.log = log
  expect(printed).toEqual([])
})

const mebibyte = 1024 * 1024

/** Say it as fast as it is taken, until the connection ends. */
async function flood(socket: Socket, begin: string, words: string): Promise<void> {
  socket.write(begin)
  const chunk = Buffer.from(words.repeat(Math.ceil(65_536 / words.length)))
  while (!socket.destroyed) {
    if (socket.write(chunk)) await wait(0)
    else
      await Promise.race([new Promise((drained) => socket.once('drain', drained).once('close', drained)), wait(5000)])
  }
}

test.each<[string, (socket: Socket, sid: string) => void]>([
  ['a line without end', (socket) => void flood(socket, 'INFO {"a":"', 'x')],
  ['an error without end', (socket) => void flood(socket, '-ERR ', 'x')],
  ['a message of 60 MiB', (socket, sid) => void flood(socket, `MSG x ${sid} 62914560\r\n`, 'x')],
  ['questions without end, and reads no answer', (socket) => void flood(socket.pause(), '', 'PING\r\n')],
  ['what is no NATS', (socket) => void socket.write('HELLO\r\n')],
  ['an INFO that is no JSON', (socket) => void socket.write('INFO {\r\n')],
])('a server that says %s is left, and nothing of it is printed', async (_name, greet) => {
  await using hostile = await HostileNats.start({ greet })
  await using watched = watchedSink(natsSettings([hostile.url]))
  const before = process.memoryUsage().rss
  let most = 0
  await until(
    'it was left twice',
    () => {
      most = Math.max(most, process.memoryUsage().rss)
      return hostile.accepted >= 3
    },
    8000,
  )
  expect(most - before).toBeLessThan(100 * mebibyte)
  expect(watched.state.trouble?.kind).toBe('unreachable')
})

test.each<[string, (sid: string) => string]>([
  ['INFO', () => 'INFO {"version":"2.15.1","headers":true,"max_payload":1048576}\r\n'],
  ['INFO that is long', () => `INFO {"version":"2.15.1","connect_urls":["${'x'.repeat(60_000)}"]}\r\n`],
  ['PING', () => 'PING\r\n'],
  ['PONG', () => 'PONG\r\n'],
  ['+OK', () => '+OK\r\n'],
  ['-ERR of a right', () => `-ERR 'Permissions Violation for Publish to "x"'\r\n`],
  ['-ERR of a subscription', () => `-ERR 'Permissions Violation for Subscription to "x"'\r\n`],
  ['-ERR that nobody knows', () => "-ERR 'x'\r\n"],
  ['an answer that nobody asked for', (sid) => `MSG _INBOX.host1.x.1 ${sid} 2\r\n{}\r\n`],
  ['a message that nobody listens to', () => 'MSG x 999 2\r\n{}\r\n'],
])('a server that says %s without end takes neither the memory nor the time of the agent', async (_name, words) => {
  let flooded: Socket | undefined
  const greet = (socket: Socket, sid: string) => {
    flooded = socket
    void flood(socket, '', words(sid))
  }
  await using hostile = await HostileNats.start({ greet })
  const watched = watchedSink(natsSettings([hostile.url]))
  const before = process.memoryUsage().rss
  await until('it floods', () => (flooded?.bytesWritten ?? 0) > mebibyte)
  let [most, longest] = [0, 0]
  const untilMs = performance.now() + 400
  for (let turnMs = 0; turnMs < untilMs;) {
    turnMs = performance.now()
    await wait(1)
    longest = Math.max(longest, performance.now() - turnMs)
    most = Math.max(most, process.memoryUsage().rss - before)
  }
  await watched[Symbol.asyncDispose]()
  await until('the connection is ended', () => flooded?.destroyed === true)
  expect(most).toBeLessThan(100 * mebibyte)
  expect(longest).toBeLessThan(1000)
})

test('a server that says no number as its max_payload is not ready, and its words are not repeated', async () => {
  await using hostile = await HostileNats.start({ info: { max_payload: '\u001b[2J'.repeat(1000) } })
  await using watched = watchedSink(natsSettings([hostile.url]))
  await until('it is not ready', () => watched.state.trouble?.kind === 'not-ready')
  expect(watched.state.trouble?.text).toBe('max_payload of the server is not said, must be 65536 or more in its config')
})

test('a server that lowers its max_payload is left, and no report is set aside for it', async () => {
  await using hostile = await HostileNats.start({})
  await using watched = watchedSink(natsSettings([hostile.url]))
  await until('it is ready', () => watched.state.trouble === undefined)
  await hostile.say('INFO {"version":"2.15.1","headers":true,"max_payload":1000}\r\n')
  const long = transitionReport('r'.repeat(1000), 1)
  await expect(watched.sink.send(long, AbortSignal.timeout(8000))).rejects.toMatchObject({
    code: 'nats-failed',
    message: 'max_payload of the server is 1000 bytes, must be 65536 or more in its config',
  })
  await until('it is asked anew', () => hostile.accepted === 2)
})

test('what a server says at length of its streams is cut, and moves no cursor', async () => {
  await using hostile = await HostileNats.start({ config: { subjects: ['\u001b[2J'.repeat(100_000)] } })
  await using watched = watchedSink(natsSettings([hostile.url]))
  const text = await until('it is not ready', () =>
    watched.state.trouble?.kind === 'not-ready' ? watched.state.trouble.text : undefined,
  )
  expect(text).toMatch(/^stream KEEPWARD_EVENTS: subjects is [\x20-\x7e]+: keepward nats setup$/)
  expect(text.length).toBeLessThan(1100)
})

test('other servers that a server names are not connected to', async () => {
  await using other = await TcpProxy.start(undefined)
  const connect_urls = Array.from({ length: 2000 }, () => `127.0.0.1:${String(other.port)}`)
  await using hostile = await HostileNats.start({
    info: { connect_urls },
    greet: (socket) => {
      socket.write(`INFO ${JSON.stringify({ version: '2.15.1', connect_urls, ldm: true })}\r\n`)
      setTimeout(() => socket.destroy(), 100)
    },
  })
  await using watched = watchedSink(natsSettings([hostile.url]))
  await until('it was tried often', () => hostile.accepted >= 4)
  expect(watched.state.trouble?.kind).toBe('unreachable')
  expect(other.accepted).toBe(0)
})

test.each<[string, string]>([
  ['of another stream', '{"stream":"OTHER","seq":1}'],
  ['without a sequence', '{"stream":"KEEPWARD_EVENTS"}'],
  ['with the sequence 0', '{"stream":"KEEPWARD_EVENTS","seq":0}'],
  ['with a sequence that is none', '{"stream":"KEEPWARD_EVENTS","seq":-1}'],
  ['that is null', 'null'],
  ['that is no JSON', '+ACK'],
  ['that is an error of no form', '{"error":"x"}'],
  ['that says it has it already, which it has not', '{"stream":"KEEPWARD_EVENTS","seq":1,"duplicate":true}'],
])('a report is not taken for delivered upon an answer %s', async (_name, answer) => {
  let asked = 0
  await using hostile = await HostileNats.start({
    answer: ({ subject }) => {
      asked += subject.startsWith('keepward.v1.event.') ? 1 : 0
      return answer
    },
  })
  await using store = testJournal()
  const journal = await store.open()
  await using reporter = await reporterOf(journal, natsSettings([hostile.url]))
  await journal.append(transition('r1')).durable
  await until('it is tried again', () => asked >= 3)
  expect([reporter.status.delivered, reporter.status.refused.size]).toEqual([0, 0])
})
