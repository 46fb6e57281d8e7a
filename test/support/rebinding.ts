import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describeError } from '../../src/base/error.ts'
import { Secret } from '../../src/base/secret.ts'
import { openWebhookSink } from '../../src/report/webhook/sink.ts'
import { transitionReport } from './webhook.ts'

/**
 * In a network namespace whose resolver is 127.0.0.1: tell a webhook by a name that has other addresses each time somebody asks. Prints what became of each
 * report, and how often the name was asked for and 127.0.0.1 connected to, as JSON.
 */
const answers = [['8.8.8.8'], ['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['10.0.0.1']]
let [questions, connections] = [0, 0]

/** RFC 1035, 4.1: the question once more, and an answer to each of type A. */
function answer(server: Socket, question: Buffer, port: number): void {
  const end = question.indexOf(0, 12) + 5
  const isA = question.readUInt16BE(end - 4) === 1
  const addresses = isA ? (answers[questions++] ?? ['127.0.0.1']) : []
  const header = Buffer.from(question.subarray(0, 12))
  header.writeUInt16BE(0x8180, 2)
  header.writeUInt16BE(addresses.length, 6)
  header.writeUInt32BE(0, 8)
  const records = addresses.map((address) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
  )
  server.send(Buffer.concat([header, question.subarray(12, end), ...records]), port, '127.0.0.1')
}

const resolver = createSocket('udp4')
resolver.on('message', (question, { port }) => {
  answer(resolver, question, port)
})
resolver.bind(53, '127.0.0.1')
const inner = createServer((socket) => {
  connections += 1
  socket.destroy()
}).listen(443, '127.0.0.1')
await Promise.all([once(resolver, 'listening'), once(inner, 'listening')])

const sink = openWebhookSink(
  {
    ...{ type: 'webhook', name: 'hook', delivery: 'latest', repeatMs: 60_000, url: 'https://rebind.example.net/' },
    ...{ caFile: undefined, clientCertificate: undefined, allowNetworks: [], secret: { kind: 'file', path: '/s' } },
    filter: { routers: undefined, kinds: undefined, roles: undefined },
  },
  {
    ...{ agent: 'host1', version: '0.1.0' },
    readSecret: () => Promise.resolve(new Secret(`whsec_${'a'.repeat(32)}`)),
    readFile: () => '',
  },
)
const became: string[] = []
for (const seq of [3, 4, 5, 6])
  became.push(await sink.send(transitionReport('r1', seq), new AbortController().signal).then(String, describeError))
await sink.close()
process.stdout.write(JSON.stringify({ became, questions, connections }))
resolver.close()
inner.close()
