import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLoad, loadWords, type Load, type Sent } from '../../bench/statechange/load.ts'
import { run } from '../../src/linux/run.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
const failed = { connect: 0, send: 0, reset: 0, closedEarly: 0, timedOut: 0, malformed: 0 }

let directory: string
let program: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'keepward-load-'))
  program = await buildLoad(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Send a load to a server that does this on every request. */
async function send(load: Load, answer: (socket: Socket, request: string) => void, words: readonly string[] = []) {
  const requests: string[] = []
  const path = join(directory, 'socket')
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      requests.push(data.toString('latin1'))
      answer(socket, data.toString('latin1'))
    })
  })
  await new Promise<void>((resolve) => server.listen({ path, backlog: 4 }, resolve))
  try {
    const { stdout } = await run([program, ...loadWords(path, load), ...words])
    return { sent: JSON.parse(stdout) as Sent, requests }
  } finally {
    server.close()
  }
}

describe('the load of the statechange bench', () => {
  it('sends what Neutron 21.0.0 sends, byte for byte, each router from one state to the other', async () => {
    const words = ['--routers', '2', '--router-id', '6f1d3c2a-0b5e-4f7a-9c1d-############']
    const { sent, requests } = await send(
      { mode: 'close', clients: 1, seconds: 0.2 },
      (socket) => socket.end(ok),
      words,
    )
    // As its own monitor, with httplib2, wrote it to a socket.
    expect(requests[0]).toBe(
      'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx-neutron-router-id: 6f1d3c2a-0b5e-4f7a-9c1d-000000000001\r\n' +
        'x-neutron-state: primary\r\nconnection: close\r\nuser-agent: Python-httplib2/0.20.4 (gzip)\r\n' +
        'accept-encoding: gzip, deflate\r\n\r\n',
    )
    expect(
      requests.slice(0, 4).map((text) => /(\d)\r\nx-neutron-state: (.*)\r\n/.exec(text)?.slice(1).join(' ')),
    ).toEqual(['1 primary', '2 primary', '1 backup', '2 backup'])
    expect(sent).toMatchObject({ answered: requests.length, errors: failed, not200: {} })
  })

  it('keeps connections when told, and says how evenly they were served', async () => {
    const sockets = new Set<Socket>()
    const { sent, requests } = await send({ mode: 'kept', clients: 3, seconds: 0.2 }, (socket) => {
      sockets.add(socket)
      socket.write(ok)
    })
    expect(sockets.size).toBe(3)
    expect(requests.every((text) => !text.includes('connection'))).toBe(true)
    expect(sent.leastServed).toBeGreaterThan(0)
    expect(sent).toMatchObject({ answered: requests.length, errors: failed })
  })

  it('tries a connect again that a full backlog turned away, until all of a burst are answered', async () => {
    const { sent } = await send({ mode: 'burst', clients: 500 }, (socket) => socket.end(ok))
    expect(sent).toMatchObject({ answered: 500, leastServed: 1, mostServed: 1, errors: failed })
    expect(sent.again).toBeGreaterThan(0)
  })

  it('paces a trickle', async () => {
    const load: Load = { mode: 'paced', clients: 4, everyMs: 20, seconds: 0.5 }
    const { sent } = await send(load, (socket) => socket.end(ok))
    expect(sent.answered).toBeGreaterThanOrEqual(20)
    expect(sent.answered).toBeLessThanOrEqual(25)
  })

  it('takes an answer in pieces and one with a body', async () => {
    const { sent } = await send({ mode: 'burst', clients: 2 }, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-')
      setTimeout(() => socket.write('length: 3\r\n\r\nab'), 20)
      setTimeout(() => socket.end('c'), 40)
    })
    expect(sent).toMatchObject({ answered: 2, errors: failed })
    expect(sent.p50Us).toBeGreaterThan(35_000)
  })

  it('counts an answer that is not 200, and times it not', async () => {
    const refusal = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}'
    const { sent } = await send({ mode: 'burst', clients: 3 }, (socket) => socket.end(refusal))
    expect(sent).toMatchObject({ answered: 3, rate: 0, p99Us: null, not200: { 403: 3 }, errors: failed })
  })

  it.each([
    ['closedEarly', 'closes without a byte', (socket: Socket) => socket.end()],
    ['closedEarly', 'closes within the head', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
    [
      'closedEarly',
      'closes within the body',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na'),
    ],
    ['malformed', 'says what is not HTTP', (socket: Socket) => socket.end('SSH-2.0-x\r\n\r\n')],
    ['malformed', 'says more than its length', (socket: Socket) => socket.end(`${ok}more`)],
    ['timedOut', 'says nothing', () => undefined],
  ])('counts as %s what a server does that %s', async (kind, _what, answer) => {
    const words = ['--deadline-ms', '200']
    const { sent } = await send({ mode: 'burst', clients: 2 }, (socket) => void answer(socket), words)
    expect(sent).toMatchObject({ answered: 0, not200: {}, errors: { ...failed, [kind]: 2 } })
  })

  it('says why it could not connect', async () => {
    const { stdout } = await run([program, ...loadWords(join(directory, 'none'), { mode: 'burst', clients: 2 })])
    expect(JSON.parse(stdout)).toMatchObject({
      answered: 0,
      errors: { ...failed, connect: 2 },
      connectError: 'No such file or directory',
    })
  })
})
