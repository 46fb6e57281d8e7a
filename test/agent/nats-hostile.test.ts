import { setTimeout as wait } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HostileNats } from '../support/hostile-nats.ts'
import { testJournal, transition } from '../support/journal.ts'
import { natsSettings, reporterOf, watchedSink } from '../support/nats-sink.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

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
