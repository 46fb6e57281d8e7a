import { connect } from 'node:net'
import { expect, test, vi } from 'vitest'
import { exchange, request, TestServer, verdict } from '../../test/support/state-change.ts'

/** What Neutron's senders put on the wire, byte for byte (each era). */
const senders = {
  'the Python monitor up to 28':
    'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx-neutron-router-id: r1\r\nx-neutron-state: master\r\nconnection: close\r\nuser-agent: Python-httplib2/0.20.4 (gzip)\r\naccept-encoding: gzip, deflate\r\n\r\n',
  'the shell monitor':
    'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nX-Neutron-Router-Id: r1\r\nX-Neutron-State: primary\r\nConnection: close\r\n\r\n',
  'HTTP/1.0 without a host': 'GET /any?path HTTP/1.0\r\nX-NEUTRON-ROUTER-ID: r1\r\nx-neutron-STATE: primary\r\n\r\n',
}

test.each(Object.entries(senders))('takes the request of %s and ends the connection', async (_, bytes) => {
  await using it = await TestServer.start()
  const reply = await exchange(it.path, bytes)
  expect(reply).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Length: 0\r\nDate: [^\r]+\r\nConnection: close\r\n\r\n$/)
  expect(it.listener.claims).toMatchObject([{ router: 'r1', state: 'primary', count: 1, key: undefined }])
  expect(it.listener.claims[0]?.sender).toMatchObject({ pid: process.pid, uid: process.geteuid?.() })
})

const kept = { Connection: undefined }

test('takes one after the other on a connection that is kept, also pipelined', async () => {
  await using it = await TestServer.start()
  const reply = await exchange(it.path, request(kept) + request({ ...kept, 'X-Neutron-State': 'backup' }), {
    forMs: 300,
  })
  expect(reply.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
  expect(it.listener.claims.map(({ state }) => state)).toEqual(['primary', 'backup'])
})

test('answers one who has closed his own half', async () => {
  await using it = await TestServer.start()
  it.listener.durable = () => new Promise((resolve) => setTimeout(resolve, 50))
  for (const headers of [{}, kept]) {
    expect(verdict(await exchange(it.path, request(headers), { closesHalf: true }))).toBe('200')
  }
})

test('takes a request in pieces of one byte', async () => {
  await using it = await TestServer.start()
  const reply = await exchange(it.path, Array.from(`${request({ 'Content-Length': '2' }, 'POST /a HTTP/1.1')}ok`), {
    pauseMs: 0,
  })
  expect(verdict(reply)).toBe('200')
})

const long = 'a'.repeat(4096)

/** What is sent, and what it gets. */
const refused: Readonly<Record<string, readonly [bytes: string, verdict: string]>> = {
  'another method': [request({}, 'PUT / HTTP/1.1'), '400 method-unsupported'],
  'no method there is': [request({}, 'STEAL / HTTP/1.1'), '400 request-malformed'],
  'no HTTP': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '400 request-malformed'],
  'another protocol version': [request({}, 'GET / HTTP/3.7'), '400 request-malformed'],
  'the next protocol version': [request({}, 'GET / HTTP/2.0'), '400 request-malformed'],
  'the first protocol version': [request({}, 'GET /'), '400 request-malformed'],
  'a trailer': [
    `${request({ 'Transfer-Encoding': 'chunked' }, 'POST / HTTP/1.1')}0\r\nX-Neutron-Router-Id: r2\r\n\r\n`,
    '400 request-malformed',
  ],
  'a tunnel': [request({}, 'CONNECT a:1 HTTP/1.1'), '400 method-unsupported'],
  'an expectation': [request({ Expect: 'miracles' }, 'POST / HTTP/1.1'), '400 request-malformed'],
  'no router': [request({ 'X-Neutron-Router-Id': undefined }), '400 header-missing'],
  'no state': [request({ 'X-Neutron-State': undefined }), '400 header-missing'],
  'two routers': [request({ 'x-neutron-router-id': 'r2' }), '400 header-repeated'],
  'two states': [request({ 'x-neutron-state': 'primary' }), '400 header-repeated'],
  'two hosts': [request({ host: 'b' }), '400 header-repeated'],
  'an empty router': [request({ 'X-Neutron-Router-Id': '' }), '400 router-malformed'],
  'a path for a router': [request({ 'X-Neutron-Router-Id': '../../etc/passwd' }), '400 router-malformed'],
  'a list of routers': [request({ 'X-Neutron-Router-Id': 'r1, r2' }), '400 router-malformed'],
  'a router of 65 characters': [request({ 'X-Neutron-Router-Id': 'a'.repeat(65) }), '400 router-malformed'],
  'another state': [request({ 'X-Neutron-State': 'active' }), '400 state-malformed'],
  'a state in capitals': [request({ 'X-Neutron-State': 'PRIMARY' }), '400 state-malformed'],
  'an empty state': [request({ 'X-Neutron-State': '' }), '400 state-malformed'],
  'a NUL': [request({ 'X-A': 'b\0c' }), '400 request-malformed'],
  'a control character': [request({ 'X-A': 'b\x1bc' }), '400 request-malformed'],
  'a tab': [request({ 'X-A': 'b\tc' }), '400 header-malformed'],
  'a byte beyond ASCII': [request({ 'X-A': 'b\xe9c' }), '400 header-malformed'],
  'a lone carriage return': [request({ 'X-A': 'b\rc' }), '400 request-malformed'],
  'a bare line feed': [request({ 'X-A': 'b\nX-B: c' }), '400 request-malformed'],
  'nothing but bare line feeds': [request().replaceAll('\r\n', '\n'), '400 request-malformed'],
  'a folded header': [request({ 'X-Neutron-State': 'primary\r\n backup' }), '400 request-malformed'],
  'a space before the colon': [request({ 'X-Neutron-State ': 'primary' }), '400 request-malformed'],
  'two lengths': [request({ 'Content-Length': '1', 'content-length': '2' }), '400 request-malformed'],
  'one length twice': [request({ 'Content-Length': '1', 'content-length': '1' }), '400 request-malformed'],
  'a length and chunks': [
    request({ 'Content-Length': '1', 'Transfer-Encoding': 'chunked' }, 'POST / HTTP/1.1'),
    '400 request-malformed',
  ],
  'chunks that are not last': [
    request({ 'Transfer-Encoding': 'chunked, gzip' }, 'POST / HTTP/1.1'),
    '400 request-malformed',
  ],
  'chunks within something': [
    `${request({ 'Transfer-Encoding': 'gzip, chunked' }, 'POST / HTTP/1.1')}0\r\n\r\n`,
    '400 request-malformed',
  ],
  'a negative length': [request({ 'Content-Length': '-1' }), '400 request-malformed'],
  'a header block of more than 4 KiB': [request({ 'X-A': long }), '431 header-too-large'],
  'many short headers of more than 4 KiB': [
    request({ Host: `a\r\n${'X: b\r\n'.repeat(700)}X: b` }),
    '431 header-too-large',
  ],
  'a body that says it is too large': [
    `${request({ 'Content-Length': '1025' }, 'POST / HTTP/1.1')}${'a'.repeat(1025)}`,
    '413 body-too-large',
  ],
  'a body that grows too large': [
    `${request({ 'Transfer-Encoding': 'chunked' }, 'POST / HTTP/1.1')}401\r\n${'a'.repeat(1025)}\r\n0\r\n\r\n`,
    '413 body-too-large',
  ],
  'half a proof': [request({ 'X-Keepward-Key': 'r1' }), '400 proof-malformed'],
}

test.each(Object.entries(refused))('refuses %s, says why and ends the connection', async (_, [bytes, wanted]) => {
  await using it = await TestServer.start()
  const reply = await exchange(it.path, bytes)
  expect(verdict(reply)).toBe(wanted)
  expect(reply).toMatch(/\r\nConnection: close\r\n/)
  expect(reply).toMatch(/\r\nContent-Type: application\/problem\+json\r\n/)
  expect(it.listener.claims).toEqual([])
  expect(it.audited).toMatchObject([{ decision: 'refused', reason: wanted.slice(4), count: 1 }])
})

test('a request behind a refused one on the same connection is not heard', async () => {
  await using it = await TestServer.start()
  const reply = await exchange(it.path, request({ 'X-Neutron-State': 'x', Connection: undefined }) + request())
  expect(reply.match(/HTTP\/1\.1/g)).toHaveLength(1)
  expect(it.listener.claims).toEqual([])
})

test.each(['1.0', '1.1'])(
  'a request of version %s that says close and keep-alive is the last of its connection',
  async (version) => {
    await using it = await TestServer.start()
    const both = request({ Connection: 'keep-alive, Close' }, `GET / HTTP/${version}`)
    const reply = await exchange(it.path, both + request({ 'X-Neutron-State': 'backup' }))
    expect(reply.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(reply).toContain('Connection: close')
    expect(it.listener.claims.map(({ state }) => state)).toEqual(['primary'])
  },
)

test.each([
  ['what is no request', 'no request\r\n\r\n', '400 request-malformed'],
  ['a tunnel', request({}, 'CONNECT a:1 HTTP/1.1'), '400 method-unsupported'],
  ['a request of a wrong form', request({ 'X-Neutron-State': 'x' }), '400 state-malformed'],
])('answers in turn when %s comes behind a request that waits', async (_, behind, wanted) => {
  for (const first of [
    request(kept),
    request({ 'Content-Length': '2' }, 'POST / HTTP/1.1').replace('close', 'x') + 'ok',
  ]) {
    await using it = await TestServer.start()
    it.listener.durable = () => new Promise((resolve) => setTimeout(resolve, 50))
    const replies = (await exchange(it.path, first + behind)).split(/(?=HTTP\/1\.1 \d)/)
    expect(replies.map(verdict)).toEqual(['200', wanted])
  }
})

test('what cannot be read is written down once, however much of it comes', async () => {
  await using it = await TestServer.start()
  await exchange(it.path, ['no request\r\n', 'more', 'and more'], { pauseMs: 20 })
  await it.server.close()
  expect(it.audited).toMatchObject([{ reason: 'request-malformed', count: 1 }])
})

test('lets go of one who asks for a tunnel and neither reads nor ends', async () => {
  await using it = await TestServer.start()
  const socket = connect({ path: it.path, allowHalfOpen: true })
  socket.on('error', () => undefined)
  socket.write(request({}, 'CONNECT a:1 HTTP/1.1'))
  await vi.waitFor(() => {
    expect(it.audited).toHaveLength(1)
  })
  const startedMs = performance.now()
  await it.server.close()
  expect(performance.now() - startedMs).toBeLessThan(1000)
  socket.destroy()
})

test('one who asks for a tunnel and is gone before the answer harms nobody', async () => {
  await using it = await TestServer.start()
  for (let n = 0; n < 20; n++) {
    const socket = connect(it.path)
    socket.on('error', () => undefined)
    socket.write(request({}, 'CONNECT a:1 HTTP/1.1'), () => socket.destroy())
  }
  await vi.waitFor(() => {
    expect(it.audited).toHaveLength(1)
  })
  expect(verdict(await exchange(it.path, request()))).toBe('200')
  await it.server.close()
  expect(it.audited.reduce((sum, { count }) => sum + count, 0)).toBe(20)
})

test('one who sends request upon request without waiting for answers is heard for some of them', async () => {
  await using it = await TestServer.start()
  it.listener.durable = () => new Promise((resolve) => setTimeout(resolve, 50))
  const reply = await exchange(it.path, request(kept).repeat(2000))
  expect(reply.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(16)
  expect(it.listener.claims).toHaveLength(16)
  expect(it.audited).toMatchObject([{ decision: 'limited', reason: 'requests-limit', count: 1 }])
})

test.each([
  ['connects and says nothing', ''],
  ['stops within its headers', 'GET / HTTP/1.1\r\nX-Neutron'],
  ['stops within its body', request({ 'Content-Length': '9' }, 'POST / HTTP/1.1') + 'a'],
])('ends a sender that %s at the deadline', { timeout: 10_000 }, async (_, bytes) => {
  await using it = await TestServer.start()
  const startedMs = performance.now()
  await exchange(it.path, bytes, { forMs: 9000 })
  const tookMs = performance.now() - startedMs
  expect(tookMs).toBeGreaterThan(4500)
  expect(tookMs).toBeLessThan(6500)
  expect(it.listener.claims).toEqual([])
})

test('takes a body of 1 KiB', async () => {
  await using it = await TestServer.start()
  const bytes = request({ 'Content-Length': '1024' }, 'POST / HTTP/1.1') + 'a'.repeat(1024)
  expect(verdict(await exchange(it.path, bytes))).toBe('200')
})
