import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { Secret } from '../base/secret.ts'
import { bootTimeNs } from '../linux/boot-clock.ts'
import type { RouterId } from '../router/spec.ts'
import { judge, notify, pauseMs, type Notice } from './notify.ts'
import { isSignedBy } from './signature.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-notify-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const notice: Notice = {
  router: 'r1' as RouterId,
  state: 'primary',
  socket: join(directory, 'socket'),
  key: { id: 'k1', secret: new Secret(Buffer.alloc(32, 7)) },
  intervalS: undefined,
  deadlineMs: 10_000,
}

/** What a connection gets: pieces in turn, each sent by itself, and then its end. */
type Reply = readonly string[]

const answer = (status: string, headers: string[] = [], body = ''): Reply => [
  [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${String(body.length)}`, 'Connection: close', '', body].join(
    '\r\n',
  ),
]
const ok = answer('200 OK')

/** A server that answers its connections with these in turn, the last for all further ones, and keeps what was asked. */
class Stub {
  readonly requests: string[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(...replies: (Reply | 'silence')[]) {
    let taken = 0
    this.#server = createServer((socket) => {
      const reply = replies[Math.min(taken++, replies.length - 1)] ?? 'silence'
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('data', (request) => {
        this.requests.push(request.toString('latin1'))
        if (reply !== 'silence') void say(socket, reply)
      })
    })
    open.push(this)
  }

  async listen(): Promise<this> {
    this.#server.listen(notice.socket)
    await once(this.#server, 'listening')
    return this
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

async function say(socket: Socket, pieces: Reply): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    socket.write(piece)
    await wait(5)
  }
  socket.end()
}

const open: Stub[] = []
afterEach(() => {
  for (const stub of open.splice(0)) stub.close()
})

const headerOf = (request: string | undefined, name: string) =>
  new RegExp(`^${name}: (.*)\r$`, 'm').exec(request ?? '')?.[1]

describe('notify()', () => {
  test('sends one request with a proof of the message', async () => {
    const stub = await new Stub(ok).listen()
    const before = [bootTimeNs(), BigInt(Date.now())] as const
    expect(await notify({ ...notice, intervalS: 10 })).toEqual({ kind: 'delivered' })
    const after = [bootTimeNs(), BigInt(Date.now())] as const

    const [request = '', ...further] = stub.requests
    expect(further).toEqual([])
    const [sequence, time] = ['sequence', 'time'].map((name) => BigInt(headerOf(request, `x-keepward-${name}`) ?? 0))
    const signature = headerOf(request, 'x-keepward-signature') ?? ''
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    expect(request).toBe(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Neutron-Router-Id: r1\r\nX-Neutron-State: primary\r\n` +
        `x-keepward-sequence: ${String(sequence)}\r\nx-keepward-boot: ${boot}\r\nx-keepward-time: ${String(time)}\r\n` +
        `x-keepward-key: k1\r\nx-keepward-interval: 10\r\nx-keepward-signature: ${signature}\r\n` +
        `Content-Length: 0\r\nConnection: close\r\n\r\n`,
    )
    expect(sequence).toBeGreaterThan(before[0])
    expect(sequence).toBeLessThan(after[0])
    expect(time).toBeGreaterThanOrEqual(before[1])
    expect(time).toBeLessThanOrEqual(after[1])
    const proof = { router: 'r1', state: 'primary', boot, key: 'k1', intervalS: 10 }
    const signed = { ...proof, sequence: sequence ?? 0n, sentMs: Number(time) }
    expect(isSignedBy(notice.key.secret, signed, signature)).toBe(true)
  })

  test('has no interval header when the sender does not repeat itself', async () => {
    const stub = await new Stub(ok).listen()
    await notify(notice)
    expect(headerOf(stub.requests[0], 'x-keepward-interval')).toBeUndefined()
  })

  test('reads an answer in pieces of a byte', async () => {
    await new Stub(Array.from('HTTP/1.1 200 OK\r\n\r\n')).listen()
    expect(await notify(notice)).toEqual({ kind: 'delivered' })
  })

  test('reads the answer of Neutron’s server since 2025.2, with no header block that ends', async () => {
    await new Stub([
      "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=UTF-8\nConnection: close\nContent-Location': http://127.0.0.1/",
    ]).listen()
    expect(await notify(notice)).toEqual({ kind: 'delivered' })
  })

  test('takes 409 for superseded', async () => {
    await new Stub(answer('409 Conflict', [], '{"code":"superseded"}')).listen()
    expect(await notify(notice)).toEqual({ kind: 'superseded' })
  })

  test('does not try again when it is refused, and says the problem’s code', async () => {
    const body = '{"type":"about:blank","title":"This sender may not.","status":403,"code":"sender-refused"}'
    const [text = ''] = answer('403 Forbidden', ['Content-Type: application/problem+json'], body)
    const stub = await new Stub([text.slice(0, 30), text.slice(30, -20), text.slice(-20)]).listen()
    expect(await notify(notice)).toEqual({ kind: 'refused', code: 'sender-refused' })
    expect(stub.requests).toHaveLength(1)
  })

  test('waits as long as Retry-After says', async () => {
    const stub = await new Stub(answer('429 Too Many Requests', ['Retry-After: 1']), ok).listen()
    const start = performance.now()
    expect(await notify(notice)).toEqual({ kind: 'delivered' })
    expect(performance.now() - start).toBeGreaterThan(990)
    expect(stub.requests).toHaveLength(2)
  })

  test('keeps its sequence from try to try, and signs each', async () => {
    const stub = await new Stub(answer('503 Service Unavailable'), answer('503 Service Unavailable'), ok).listen()
    expect(await notify(notice)).toEqual({ kind: 'delivered' })
    const values = (name: string) => new Set(stub.requests.map((request) => headerOf(request, `x-keepward-${name}`)))
    expect(stub.requests).toHaveLength(3)
    expect(values('sequence').size).toBe(1)
    expect(values('signature').size).toBe(values('time').size)
  })

  test('tries again when the connection is closed without an answer', async () => {
    const stub = await new Stub([], [], ok).listen()
    expect(await notify(notice)).toEqual({ kind: 'delivered' })
    expect(stub.requests).toHaveLength(3)
  })

  test('tries again until the socket is there', async () => {
    const sent = notify(notice)
    await wait(200)
    const stub = await new Stub(ok).listen()
    expect(await sent).toEqual({ kind: 'delivered' })
    expect(stub.requests).toHaveLength(1)
  })

  test('takes a later sequence in a later call', async () => {
    const stub = await new Stub(ok).listen()
    await notify(notice)
    await notify(notice)
    const [first = 0n, second = 0n] = stub.requests.map((one) => BigInt(headerOf(one, 'x-keepward-sequence') ?? 0))
    expect(second).toBeGreaterThan(first)
  })

  test.each([
    { what: 'nobody listens', replies: undefined, reason: `connect ENOENT ${notice.socket}` },
    { what: 'no answer comes', replies: ['silence'] as const, reason: 'no answer for 0.4 s' },
    {
      what: 'the server cannot',
      replies: [answer('503 No', [], '{"code":"journal-unavailable"}')],
      reason: 'journal-unavailable',
    },
    { what: 'the server asks for more time', replies: [answer('429 No', ['Retry-After: 3600'])], reason: 'HTTP 429' },
  ])('ends at its deadline when $what', async ({ replies, reason }) => {
    if (replies !== undefined) await new Stub(...replies).listen()
    const start = performance.now()
    expect(await notify({ ...notice, deadlineMs: 400 })).toEqual({ kind: 'undelivered', reason })
    expect(performance.now() - start).toBeGreaterThan(390)
    expect(performance.now() - start).toBeLessThan(2000)
  })

  test('reads no more than it needs of an answer without an end', async () => {
    const line = `X-More: ${'x'.repeat(1000)}\r\n`
    await new Stub(['HTTP/1.1 400 Bad Request\r\n', ...Array.from({ length: 2000 }, () => line)]).listen()
    const start = performance.now()
    expect(await notify(notice)).toEqual({ kind: 'refused', code: 'HTTP 400' })
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('judge()', () => {
  const problem = (status: string, body: string) =>
    judge({ text: answer(status, [], body).join(''), trouble: undefined })

  test.each(['400 x', '401 x', '403 x', '404 x', '413 x', '431 x', '204 x', '302 x'])(
    'takes %s for refused',
    (status) => {
      expect(problem(status, '{"code":"some-code"}')).toEqual({ kind: 'refused', code: 'some-code' })
    },
  )

  test.each(['408 x', '429 x', '500 x', '502 x', '503 x'])('tries again after %s', (status) => {
    expect(problem(status, '')).toEqual({ kind: 'again', reason: `HTTP ${status.slice(0, 3)}`, retryAfterMs: 0 })
  })

  test.each([
    ['no JSON', 'Traceback (most recent call last)'],
    ['no object', 'null'],
    ['no code', '{}'],
    ['a code that is no text', '{"code":403}'],
    ['a code with an escape sequence', '{"code":"\\u001b[31m"}'],
    ['a code that is a sentence', '{"code":"Not you"}'],
    ['a code without end', `{"code":"${'x'.repeat(65)}"}`],
  ])('shows the status alone when the body has %s', (_what, body) => {
    expect(problem('403 x', body)).toEqual({ kind: 'refused', code: 'HTTP 403' })
  })

  test.each([
    ['', 'closed without an answer'],
    ['HTTP/1.1 20', 'not an answer in HTTP'],
    ['HTTP/1.1 2000 OK\r\n', 'not an answer in HTTP'],
    ['HTTP/2 200 OK\r\n', 'not an answer in HTTP'],
    ['SSH-2.0-x\r\nHTTP/1.1 200 OK\r\n', 'not an answer in HTTP'],
  ])('takes %j for no answer', (text, reason) => {
    expect(judge({ text, trouble: undefined })).toEqual({ kind: 'again', reason, retryAfterMs: 0 })
  })

  test('believes an answer that came before the connection broke', () => {
    expect(judge({ text: 'HTTP/1.1 403 x\r\n\r\n', trouble: 'read ECONNRESET' })).toEqual({
      kind: 'refused',
      code: 'HTTP 403',
    })
  })

  test.each([
    ['Retry-After: 2', 2000],
    ['retry-after:\t2 ', 2000],
    ['Retry-After: Wed, 21 Oct 2026 07:28:00 GMT', 0],
    ['Retry-After: -1', 0],
    ['X-Retry-After: 2', 0],
    ['X: y\r\n\r\nRetry-After: 2', 0],
  ])('reads %j as %i ms', (header, retryAfterMs) => {
    const text = answer('503 x', [header]).join('')
    expect(judge({ text, trouble: undefined })).toEqual({ kind: 'again', reason: 'HTTP 503', retryAfterMs })
  })
})

describe('pauseMs()', () => {
  test.each([
    { tries: 1, retryAfterMs: 0, random: 0, wanted: 0 },
    { tries: 1, retryAfterMs: 0, random: 1, wanted: 50 },
    { tries: 3, retryAfterMs: 0, random: 0.5, wanted: 100 },
    { tries: 6, retryAfterMs: 0, random: 1, wanted: 1600 },
    { tries: 5000, retryAfterMs: 0, random: 1, wanted: 2000 },
    { tries: 1, retryAfterMs: 3000, random: 1, wanted: 3050 },
    { tries: 1, retryAfterMs: 3_600_000, random: 0, wanted: 10_000 },
  ])(
    'is $wanted ms after $tries tries with Retry-After $retryAfterMs ms',
    ({ tries, retryAfterMs, random, wanted }) => {
      expect(pauseMs(tries, retryAfterMs, random)).toBe(wanted)
    },
  )
})
