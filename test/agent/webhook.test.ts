import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { heartbeat } from '../support/far-end.ts'
import { testJournal, transition } from '../support/journal.ts'
import { until } from '../support/until.ts'
import { makeCertificates } from '../support/vault-server.ts'
import { Endpoint, transitionReport, type Told } from '../support/webhook.ts'
import { describeError, KeepwardError } from '../../src/base/error.ts'
import { Secret } from '../../src/base/secret.ts'
import { Reporter } from '../../src/report/reporter.ts'
import type { WebhookSettings } from '../../src/report/settings.ts'
import type { Sink, SinkState } from '../../src/report/sink.ts'
import { openWebhookSink, type WebhookTimes } from '../../src/report/webhook/sink.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-webhook-'))
const keys = { first: '6b'.repeat(24), second: '6c'.repeat(32) }
const secretOf = (hex: string) => `whsec_${Buffer.from(hex, 'hex').toString('base64')}`
const loopback = [
  { family: 4, address: '127.0.0.0', prefixLength: 8 },
  { family: 6, address: '::1', prefixLength: 128 },
] as const

let endpoint: Endpoint
let opened: (Sink | Endpoint)[] = []
/** What the source of the key holds. */
let secret: string
let states: SinkState[] = []

beforeAll(() => {
  makeCertificates(directory)
  mkdirSync(join(directory, 'other'))
  makeCertificates(join(directory, 'other'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})
beforeEach(async () => {
  endpoint = await another()
  secret = secretOf(keys.first)
  states = []
})
afterEach(async () => {
  for (const one of opened) await one.close()
  opened = []
})

async function another(options?: Parameters<typeof Endpoint.start>[1]): Promise<Endpoint> {
  const made = await Endpoint.start(directory, options)
  opened.push(made)
  return made
}

const settings = (): WebhookSettings => ({
  ...{ type: 'webhook', name: 'hook', delivery: 'latest', repeatMs: 60_000, clientCertificate: undefined },
  url: `https://127.0.0.1:${endpoint.port}/hear/pl4nted?as=keepward`,
  secret: { kind: 'credential', name: 'webhook' },
  filter: { routers: undefined, kinds: undefined, roles: undefined },
  caFile: join(directory, 'ca.pem'),
  allowNetworks: loopback,
})

function sinkWith(change: Partial<WebhookSettings> = {}, times: Partial<WebhookTimes> = {}): Sink {
  const tools = {
    ...{ agent: 'host.1', version: '1.2.3' },
    readSecret: (source: { readonly kind: string }) =>
      Promise.resolve(new Secret(source.kind === 'file' ? readFileSync(join(directory, 'server.key')) : `${secret}\n`)),
    readFile: (path: string) => readFileSync(path, 'utf8'),
  }
  const sink = openWebhookSink({ ...settings(), ...change }, tools, {
    ...{ deadlineMs: 10_000, rereadMs: 60_000, pauseMs: 50 },
    ...times,
  })
  opened.push(sink)
  sink.onState((state) => states.push(state))
  return sink
}

let seq = 0
const never = new AbortController().signal
const tell = (sink: Sink, router = 'r1', signal = never) => sink.send(transitionReport(router, ++seq), signal)
const failureOf = async (sink: Sink, router?: string): Promise<KeepwardError> => {
  const error = await tell(sink, router).catch((error: unknown) => error)
  if (error instanceof KeepwardError) return error
  throw new Error('It did not fail with a KeepwardError', { cause: error })
}
const troubles = () => states.map(({ trouble }) => trouble?.kind)
/** Without the port. */
const wordsOf = (error: KeepwardError) => `${error.code}: ${error.message.replace(/:[0-9]{4,5} /, ' ')}`

/** By openssl(1), as a receiver would. */
function isSignedBy(hexKey: string, { headers, body }: Told): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signatures } = headers
  const words = ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${hexKey}`, '-binary']
  const mac = execFileSync('openssl', words, { input: `${String(id)}.${String(at)}.${body}` })
  return String(signatures)
    .split(' ')
    .includes(`v1,${mac.toString('base64')}`)
}

type Verify = (headers: Told['headers'], body: string, secret: string, nowS: number) => boolean

const last = (): Told => {
  const told = endpoint.told.at(-1)
  if (told === undefined) throw new Error('Nothing was told')
  return told
}

describe('what is sent', () => {
  test('a report is a signed POST of a CloudEvent, over a connection that is used again', async () => {
    const sink = sinkWith()
    const sinceS = Math.floor(Date.now() / 1000)
    await tell(sink)
    await tell(sink, 'r2')
    const { method, url, headers, body } = last()
    expect([method, url, endpoint.connections]).toEqual(['POST', '/hear/pl4nted?as=keepward', 1])
    expect(headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'keepward/1.2.3',
      'content-length': String(Buffer.byteLength(body)),
    })
    expect(JSON.parse(body)).toMatchObject({ specversion: '1.0', subject: 'r2', data: { body: { to: 'primary' } } })
    expect(isSignedBy(keys.first, last())).toBe(true)
    expect(isSignedBy(keys.second, last())).toBe(false)
    expect(Number(headers['webhook-timestamp'])).toBeGreaterThanOrEqual(sinceS)
    expect(Number(headers['webhook-timestamp'])).toBeLessThanOrEqual(Date.now() / 1000)
    expect(troubles()).toEqual([undefined])
  })

  test('docs/webhook.md shows how to verify it', async () => {
    const code = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/webhook.md', 'utf8'))?.[1] ?? ''
    const { verify } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { verify: Verify }
    await tell(sinkWith())
    const { headers, body } = last()
    const atS = Number(headers['webhook-timestamp'])
    const tries: Parameters<Verify>[] = [
      [headers, body, secret, atS + 299],
      [headers, body, secret, atS + 301],
      [headers, body, secret, atS - 301],
      [headers, `${body} `, secret, atS],
      [headers, body, secretOf(keys.second), atS],
      [{ ...headers, 'webhook-id': 'msg_1' }, body, secret, atS],
      [{ ...headers, 'webhook-signature': undefined }, body, secret, atS],
    ]
    expect(tries.map((words) => verify(...words))).toEqual([true, false, false, false, false, false, false])
  })

  test('the same report has the same id each time, another one another', async () => {
    const sink = sinkWith()
    const report = transitionReport('r1', 5)
    for (const one of [report, { ...report, isRepeat: true }, transitionReport('r1', 6)]) await sink.send(one, never)
    const ids = endpoint.told.map(({ headers }) => headers['webhook-id'])
    expect([ids[0] === ids[1], ids[1] === ids[2]]).toEqual([true, false])
  })

  test('what the filter leaves out is done with at once', async () => {
    const sink = sinkWith({ filter: { routers: ['r2'], kinds: undefined, roles: undefined } })
    await tell(sink, 'r1')
    await tell(sink, 'r2')
    expect(endpoint.routers).toEqual(['r2'])
  })

  test('a secret that was changed signs what is sent next once it is read anew, at once after 401', async () => {
    const sink = sinkWith()
    await tell(sink)
    secret = `${secretOf(keys.second)}\n${secretOf(keys.first)}`
    await tell(sink)
    expect(isSignedBy(keys.second, last())).toBe(false)
    endpoint.answer = (response) => response.writeHead(401).end()
    await failureOf(sink)
    await tell(sink).catch(() => undefined)
    expect([isSignedBy(keys.second, last()), isSignedBy(keys.first, last())]).toEqual([true, true])
    secret = secretOf(keys.first)
    const eager = sinkWith({}, { rereadMs: 0 })
    endpoint.answer = (response) => response.writeHead(200).end('taken')
    await tell(eager)
    secret = secretOf(keys.second)
    await tell(eager)
    expect(isSignedBy(keys.second, last())).toBe(true)
  })

  test('neither the secret nor the path of the url is in an error, and the secret in no header', async () => {
    for (const status of [302, 401, 404, 410, 500]) {
      endpoint.answer = (response) => response.writeHead(status, { location: 'https://pl4nted/' }).end('pl4nted')
      const error = await failureOf(sinkWith())
      expect(`${describeError(error)} ${error.hint} ${String(error.stack)}`).not.toMatch(/pl4nted|whsec_|a2tra2/)
    }
    expect(JSON.stringify([endpoint.told.map(({ headers }) => headers), states])).not.toMatch(/whsec_|a2tra2|kkkk/)
    secret = 'pl4nted'
    expect(wordsOf(await failureOf(sinkWith()))).toBe(
      'sink-unavailable: https://127.0.0.1 cannot be told: The secret of a webhook must be 1 to 4 lines, each whsec_ and 24 to 64 bytes in base64 (make one with: echo "whsec_$(openssl rand -base64 32)")',
    )
  })
})

describe('whom it is sent to', () => {
  test.each([
    'https://127.0.0.1:PORT/',
    'https://0x7f.1:PORT/',
    'https://2130706433:PORT/',
    'https://017700000001:PORT/',
  ])('%s is not connected to where no network is allowed', async (url) => {
    const sink = sinkWith({ url: url.replace('PORT', String(endpoint.port)), allowNetworks: [] })
    expect(wordsOf(await failureOf(sink))).toBe(
      'sink-unavailable: https://127.0.0.1 is not sent to: 127.0.0.1: it is a loopback address',
    )
    expect([endpoint.connections, troubles()]).toEqual([0, [undefined, 'not-ready']])
  })

  test.each([
    ['https://[::1]/', '::1: it is a loopback address'],
    ['https://[::ffff:127.0.0.1]/', '::ffff:7f00:1: it is a loopback address'],
    ['https://[0:0:0:0:0:ffff:7f00:1]/', '::ffff:7f00:1: it is a loopback address'],
    ['https://169.254.169.254/', '169.254.169.254: it is a link-local address'],
    ['https://0/', '0.0.0.0: it names this host (unspecified)'],
  ])('%s is not sent to', async (url, words) => {
    expect((await failureOf(sinkWith({ url, allowNetworks: [] }))).message).toContain(`is not sent to: ${words}`)
  })

  test.each(['localhost', 'LOCALHOST'])('a name of a loopback address is refused: %s', async (name) => {
    const sink = sinkWith({ url: `https://${name}:${endpoint.port}/`, allowNetworks: [] })
    expect((await failureOf(sink)).message).toMatch(/ is not sent to: (?:127\.0\.0\.1|::1): it is a loopback address$/)
    expect(endpoint.connections).toBe(0)
  })

  test('a redirect is not followed, and told at once', async () => {
    const inner = await another()
    for (const status of [301, 302, 303, 307, 308]) {
      endpoint.answer = (response) =>
        response.writeHead(status, { location: `https://127.0.0.1:${inner.port}/inner` }).end()
      expect(wordsOf(await failureOf(sinkWith()))).toBe(
        `sink-unavailable: https://127.0.0.1 redirects (${status}), which is not followed`,
      )
    }
    expect(inner.connections).toBe(0)
    expect(troubles()).toContain('not-ready')
  })

  test('one that another CA signed is told nothing', async () => {
    const sink = sinkWith({ caFile: join(directory, 'other', 'ca.pem') })
    expect((await failureOf(sink)).message).toMatch(/ is not believed: [A-Z_]+$/)
    expect([endpoint.told, troubles()]).toEqual([[], [undefined, 'not-ready']])
  })

  test('one that was believed is told nothing once its CA is no longer ours, over no connection and by no session of before', async () => {
    const caFile = join(directory, 'changing.pem')
    copyFileSync(join(directory, 'ca.pem'), caFile)
    const sink = sinkWith({ caFile }, { rereadMs: 0 })
    await tell(sink)
    endpoint.answer = (response) => response.writeHead(204, { connection: 'close' }).end()
    await tell(sink)
    endpoint.answer = (response) => response.writeHead(204).end()
    await tell(sink)
    copyFileSync(join(directory, 'other', 'ca.pem'), caFile)
    expect((await failureOf(sink)).message).toMatch(/ is not believed: [A-Z_]+$/)
    expect(endpoint.told).toHaveLength(3)
  })

  test('one that was believed is told nothing once its CA is no longer ours, although a read of before ends last', async () => {
    const [older, newer] = [Promise.withResolvers<Secret>(), Promise.resolve(new Secret(secret))]
    const read = { ca: readFileSync(join(directory, 'ca.pem'), 'utf8'), secret: older.promise }
    const times = { deadlineMs: 10_000, rereadMs: 300, pauseMs: 50 }
    const tools = { agent: 'host.1', version: '1.2.3', readSecret: () => read.secret, readFile: () => read.ca }
    const sink = openWebhookSink(settings(), tools, times)
    opened.push(sink)
    const early = tell(sink)
    await wait(times.rereadMs)
    Object.assign(read, { ca: readFileSync(join(directory, 'other', 'ca.pem'), 'utf8'), secret: newer })
    const givenUp = new AbortController()
    const late = tell(sink, 'r2', givenUp.signal)
    await wait(0)
    givenUp.abort()
    await expect(late).rejects.toThrow('was given up')
    older.resolve(new Secret(secret))
    await early
    expect((await failureOf(sink)).message).toMatch(/ is not believed: [A-Z_]+$/)
    expect(endpoint.routers).toEqual(['r1'])
  })

  test('one with the certificate of another name is told nothing', async () => {
    const sink = sinkWith({ url: `https://localhost:${endpoint.port}/` })
    expect(wordsOf(await failureOf(sink))).toBe(
      'sink-unavailable: https://localhost is not believed: ERR_TLS_CERT_ALTNAME_INVALID',
    )
    expect(endpoint.told).toEqual([])
  })

  test('one that wants to know who we are is told with a client certificate alone', async () => {
    endpoint = await another({ wantsClients: true })
    await failureOf(sinkWith())
    expect(endpoint.told).toEqual([])
    const file = join(directory, 'server.pem')
    await tell(sinkWith({ clientCertificate: { file, key: { kind: 'file', path: '/server.key' } } }))
    expect(endpoint.routers).toEqual(['r1'])
  })

  test('certificates that are none are named, without what stands there', async () => {
    const file = join(directory, 'server.ext')
    const error = await failureOf(sinkWith({ clientCertificate: { file, key: { kind: 'file', path: '/server.key' } } }))
    expect(wordsOf(error)).toBe(
      'sink-unavailable: https://127.0.0.1 cannot be told: caFile or clientCertificate is of no use: ERR_OSSL_PEM_NO_START_LINE',
    )
  })

  test.each([
    'http://example.net/',
    'https://user:pl4nted@example.net/',
    'ftp://example.net/',
    'example.net',
    'https://[fe80::1%25lo]/',
  ])('a sink for %s is not opened', (url) => {
    expect(() => sinkWith({ url })).toThrow('The url of hook must be https:// without a user and a password')
  })
})

describe('what it answers', () => {
  test('a report that is not answered is given up at the deadline, or when whoever sends it says so', async () => {
    endpoint.answer = () => undefined
    const sink = sinkWith({}, { deadlineMs: 300 })
    expect(wordsOf(await failureOf(sink))).toBe('sink-unavailable: https://127.0.0.1 has not answered within 0.3 s')
    const patient = sinkWith()
    const giveUp = new AbortController()
    const told = tell(patient, 'r2', giveUp.signal).catch((error: unknown) => describeError(error))
    await until('it is told', () => endpoint.routers.includes('r2'))
    giveUp.abort()
    expect(await told).toMatch(/ was given up$/)
    await until('no connection is left', () => endpoint.sockets.size === 0)
  })

  test('of 100 MB no more than a little is read, and the connection is ended', async () => {
    let sent = 0
    endpoint.answer = (response) => {
      response.writeHead(200)
      const pour = () => {
        do sent += 65_536
        while (sent < 1e8 && !response.destroyed && response.write('x'.repeat(65_536)))
      }
      response.on('drain', pour)
      pour()
    }
    await tell(sinkWith())
    await until('the connection is ended', () => endpoint.sockets.size === 0)
    // What the kernel's buffers of both sides take.
    expect(sent).toBeLessThan(4e6)
  })

  test('more headers than 16 KiB are an error', async () => {
    endpoint.answer = (response) => response.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end()
    expect(wordsOf(await failureOf(sinkWith()))).toBe(
      'sink-unavailable: https://127.0.0.1 does not speak HTTP as it should: HPE_HEADER_OVERFLOW',
    )
  })

  test.each([
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\nhello',
      'HPE_UNEXPECTED_CONTENT_LENGTH',
    ],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'HPE_INVALID_TRANSFER_ENCODING',
    ],
    ['a length below zero', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
    ['lines that end otherwise', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n', 'HPE_CR_EXPECTED'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a header with a zero byte', 'HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 0\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['another version', 'HTTP/9.9 200 OK\r\ncontent-length: 0\r\n\r\n', 'HPE_INVALID_VERSION'],
    ['no HTTP', 'taken\r\n', 'HPE_INVALID_CONSTANT'],
    [
      'another protocol',
      'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      'it ended without an answer',
    ],
    [
      'interim answers without end',
      'HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n'.repeat(10_000),
      'interim answers without end',
    ],
    ['100 without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(10_000), 'interim answers without end'],
  ])('an answer of %s is none, and ends the connection', async (_name, words, says) => {
    endpoint.answer = (response) => void response.socket?.write(words)
    const sink = sinkWith()
    expect(wordsOf(await failureOf(sink))).toBe(
      `sink-unavailable: https://127.0.0.1 does not speak HTTP as it should: ${says}`,
    )
    await until('the connection is ended', () => endpoint.sockets.size === 0)
    endpoint.answer = (response) => response.writeHead(204).end()
    await tell(sink)
  })

  test('some interim answers may come before the answer', async () => {
    endpoint.answer = (response) => {
      for (let n = 0; n < 5; n++) response.writeEarlyHints({ link: '</a>; rel=preload' })
      response.writeProcessing()
      response.writeHead(204).end()
    }
    await tell(sinkWith())
  })

  test('headers of which one more comes again and again are given up at the deadline', async () => {
    let timer: NodeJS.Timeout | undefined
    endpoint.answer = (response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n')
      timer = setInterval(() => response.socket?.write('x: y\r\n'), 20)
    }
    const sink = sinkWith({}, { deadlineMs: 300 })
    expect(wordsOf(await failureOf(sink))).toBe('sink-unavailable: https://127.0.0.1 has not answered within 0.3 s')
    await until('the connection is ended', () => endpoint.sockets.size === 0)
    clearInterval(timer)
  })

  test('an answer that nobody asked for is not that to the next report', async () => {
    const taken = 'HTTP/1.1 204 No Content\r\n\r\n'
    endpoint.answer = (response) => {
      response.socket?.write(taken)
      setTimeout(() => response.socket?.write(taken), 20)
    }
    const sink = sinkWith()
    await tell(sink)
    await until('the connection is ended', () => endpoint.sockets.size === 0)
    endpoint.answer = (response) => void response.socket?.write(`${taken}${taken}`)
    await tell(sink)
    endpoint.answer = (response) => response.writeHead(422).end()
    expect((await failureOf(sink)).code).toBe('report-refused')
  })

  test.each(['', 'connection: keep-alive\r\n'])('an answer of HTTP/1.0 without a length counts: %j', async (header) => {
    endpoint.answer = (response) => void response.socket?.write(`HTTP/1.0 200 OK\r\n${header}\r\n`)
    const sink = sinkWith()
    await tell(sink, 'r1')
    await tell(sink, 'r2')
    expect([endpoint.routers, endpoint.connections]).toEqual([['r1', 'r2'], 2])
  })

  test('what is packed is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024))
    const before = process.memoryUsage().rss
    endpoint.answer = (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    await tell(sinkWith())
    expect(last().headers['accept-encoding']).toBeUndefined()
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * 1024 * 1024)
  })

  test('a word at a time is not waited for: what was said first counts', async () => {
    let timer: NodeJS.Timeout | undefined
    endpoint.answer = (response) => {
      response.writeHead(200)
      timer = setInterval(() => response.write('.'), 50)
    }
    const since = performance.now()
    await tell(sinkWith())
    expect(performance.now() - since).toBeLessThan(5000)
    // What was taken is taken, whatever ends the rest.
    await tell(sinkWith({}, { deadlineMs: 500 }))
    await until('the connection is ended', () => endpoint.sockets.size === 0)
    clearInterval(timer)
  })

  test('a connection that ends after the status is a delivery, one that ends before is none', async () => {
    endpoint.answer = (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy())
    }
    await tell(sinkWith())
    endpoint.answer = (response) => response.destroy()
    expect(wordsOf(await failureOf(sinkWith()))).toBe(
      'sink-unavailable: https://127.0.0.1 cannot be reached: ECONNRESET',
    )
  })

  test('a connection that the endpoint closed while it was idle costs no report', async () => {
    endpoint.answer = (response, { before }) => {
      if (before > 0) response.socket?.destroy()
      else response.writeHead(204).end()
    }
    const sink = sinkWith()
    await tell(sink, 'r1')
    await tell(sink, 'r2')
    expect([endpoint.routers, endpoint.connections, troubles()]).toEqual([['r1', 'r2', 'r2'], 2, [undefined]])
  })

  test.each([400, 410, 413, 415, 422])('a report is refused for good with status %i', async (status) => {
    endpoint.answer = (response) => response.writeHead(status).end('pl4nted')
    const sink = sinkWith()
    for (const router of ['r1', 'r2', 'r3', 'r4'])
      expect(wordsOf(await failureOf(sink, router))).toBe(`report-refused: https://127.0.0.1 refuses it (${status})`)
    expect(troubles()).toEqual([undefined])
  })

  test('one that asks to be asked later is left alone for so long, and then asked with one report', async () => {
    endpoint.answer = (response) => response.writeHead(503, { 'retry-after': '1' }).end()
    const sink = sinkWith()
    await failureOf(sink)
    const since = performance.now()
    expect([troubles(), sink.width]).toEqual([[undefined, 'unreachable'], 1])
    await until('it is tried', () => troubles().length === 3)
    expect(performance.now() - since).toBeGreaterThan(900)
    expect([states.at(-1)?.isTried, sink.width]).toEqual([true, 1])
    endpoint.answer = (response) => response.writeHead(204).end()
    await tell(sink)
    expect([troubles(), sink.width]).toEqual([[undefined, 'unreachable', 'unreachable', undefined], 8])
  })

  test('one that is not there is in trouble after three reports', async () => {
    const sink = sinkWith({}, { pauseMs: 60_000 })
    await endpoint.close()
    opened = opened.filter((one) => one !== endpoint)
    for (const router of ['r1', 'r1', 'r1']) {
      expect(troubles()).toEqual([undefined])
      expect((await failureOf(sink, router)).message).toMatch(/ cannot be reached: ECONNREFUSED$/)
    }
    expect(troubles()).toEqual([undefined, 'unreachable'])
  })
})

describe('with a Reporter', () => {
  test('an endpoint that was away, that refuses one report and chokes on another, hears all else', async () => {
    await using store = testJournal()
    const journal = await store.open()
    const taken: string[] = []
    const status = (router: string) => (router === 'r1' ? 422 : router === 'r2' ? 500 : 204)
    endpoint.answer = (response) => response.writeHead(503).end()
    const sink = sinkWith()
    const parts = {
      ...{ journal, sink, name: 'hook', delivery: 'latest' as const, repeatMs: 60_000, heldUntilMs: () => undefined },
      ...{ routers: () => new Set(Array.from({ length: 31 }, (_unused, n) => `r${n}`)), beat: () => heartbeat },
    }
    await using reporter = await Reporter.start(parts)
    for (let n = 0; n < 20; n++) await journal.append(transition(`r${n}`)).durable
    await until('it is in trouble', () => troubles().includes('unreachable'))
    endpoint.answer = (response, { router }) => {
      response.writeHead(status(router)).end()
      if (status(router) === 204) taken.push(router)
    }
    await until('all else is heard', () => new Set(taken).size === 18)
    await until('one is refused', () => reporter.status.refused.size === 1)
    expect([...reporter.status.refused.keys()]).toEqual(['r1'])
    // The one that it chokes on is tried for ever, and stops nobody.
    await journal.append(transition('r30')).durable
    await until('one more is heard', () => taken.includes('r30'))
    await until('one waits', () => reporter.status.waiting === 1)
  })
})
