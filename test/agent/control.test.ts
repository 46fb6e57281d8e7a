import { connect } from 'node:net'
import { once } from 'node:events'
import { lstatSync } from 'node:fs'
import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import type { AgentStatus } from '../../src/agent/api.ts'
import { TestAgent } from '../support/agent.ts'
import { ask, readEvents } from '../support/http.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ id: id('r2'), namespace: 'keepward-r2' })

async function running(): Promise<TestAgent> {
  const test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  return test
}

test('the socket is for its owner alone when there is no group of readers', async () => {
  await using test = await running()
  expect(lstatSync(test.socket).mode & 0o777).toBe(0o600)
})

test('GET /v1/status says since when and as of when', async () => {
  await using test = await running()
  const answer = await ask(test.socket, 'GET', '/v1/status')
  expect(answer.status).toBe(200)
  const status = answer.json as AgentStatus
  expect(status).toMatchObject({
    agent: { id: 'host1', version: '1.2.3', pid: process.pid, boot: 'boot1', start: 1, configDigest: 'first' },
    health: 'healthy',
    conditions: [],
    journal: { state: 'ok', lost: 0, retainedFromSeq: 1 },
  })
  const [router] = status.routers
  expect(router).toMatchObject({
    id: 'r1',
    role: 'backup',
    stale: false,
    vrid: 7,
    priority: 100,
    namespace: 'keepward-r1',
  })
  expect(router?.sinceMs).toBeGreaterThanOrEqual(status.agent.startedMs)
  expect(router?.asOfMs).toBeLessThanOrEqual(status.asOfMs)
})

test('GET /v1/routers/ID explains; an unknown one is 404 and named', async () => {
  await using test = await running()
  const answer = await ask(test.socket, 'GET', '/v1/routers/r1')
  expect(answer).toMatchObject({ status: 200, json: { status: { id: 'r1' }, waiting: [] } })
  const { evidence, last } = answer.json as {
    evidence: { what: string; found: string; ageMs: number }[]
    last: unknown[]
  }
  expect(evidence.find(({ what }) => what === 'kernel: marker')?.found).toBe('169.254.0.7/24 is not on ha0')
  expect(evidence.find(({ what }) => what === 'keepalived: says')?.found).toBe('backup, priority 100')
  expect(last.length).toBeGreaterThan(0)
  for (const unknown of ['r9', '..%2f..%2fetc', 'a%20b'])
    expect(await ask(test.socket, 'GET', `/v1/routers/${unknown}`)).toMatchObject({
      status: 404,
      json: {
        code: 'router-unknown',
        message: expect.stringMatching(/^There is no router .*; this agent runs r1$/) as string,
      },
    })
})

/** What reads the config file. */
const takers = [
  ['GET', '/v1/plan'],
  ['POST', '/v1/apply'],
] as const

test('GET /v1/plan and POST /v1/apply speak of the same config; an invalid one is 422 with what is wanted', async () => {
  await using test = await running()
  test.want([r1, r2])
  expect(await ask(test.socket, 'GET', '/v1/plan')).toMatchObject({
    status: 200,
    json: { configDigest: '2 routers', routers: [{ router: 'r2', change: 'add' }] },
  })
  expect(await ask(test.socket, 'POST', '/v1/apply')).toMatchObject({
    status: 200,
    json: { configDigest: '2 routers', added: 1, changed: 0, removed: 0 },
  })
  await test.role('backup', 'r2')
  test.file = new KeepwardError('config-invalid', 'agent.yaml:3:7: vrid is 300, must be 1 to 255', { hint: 'a hint' })
  for (const [method, path] of takers)
    expect(await ask(test.socket, method, path)).toMatchObject({
      status: 422,
      json: { code: 'config-invalid', message: 'agent.yaml:3:7: vrid is 300, must be 1 to 255', hint: 'a hint' },
    })
})

test('GET /v1/plan and POST /v1/apply say why a config is refused, with every cause', async () => {
  await using test = await running()
  const cause = new KeepwardError('packet-filter-refused', 'it flushes the ruleset')
  test.file = new KeepwardError('packet-filter-refused', 'The packet filter of router r1 is refused', { cause })
  for (const [method, path] of takers)
    expect(await ask(test.socket, method, path)).toMatchObject({
      status: 422,
      json: {
        code: 'packet-filter-refused',
        message: 'The packet filter of router r1 is refused: it flushes the ruleset',
      },
    })
})

test('POST /v1/apply writes down who asked, and the digest of a file that is refused where it is known', async () => {
  await using test = await running()
  const seq = test.journal.status.durableSeq
  const notSeen = { executable: null, executableBy: null }
  const self = { by: 'request', uid: process.geteuid?.(), gid: process.getegid?.(), pid: process.pid, ...notSeen }
  await ask(test.socket, 'POST', '/v1/apply')
  const invalid = new KeepwardError('config-invalid', 'agent.yaml:3:7: vrid is 300, must be 1 to 255', {
    hint: 'a hint',
  })
  test.file = {
    hash: 'broken',
    stamp: 'broken',
    load: () => {
      throw invalid
    },
  }
  await ask(test.socket, 'POST', '/v1/apply')
  test.file = new KeepwardError('config-unreadable', 'there is none')
  await ask(test.socket, 'POST', '/v1/apply')
  await expect(test.agent.apply({ by: 'signal' })).rejects.toThrow('there is none')
  const written = (await test.records({ after: seq })).filter(({ kind }) => kind === 'config')
  const none = { change: 'refused', digest: null, code: 'config-unreadable', text: 'there is none' }
  expect(written.map(({ body }) => body)).toEqual([
    { change: 'applying', digest: 'first', key: null, ...self },
    {
      change: 'loaded',
      digest: 'first',
      key: null,
      ...self,
      added: 0,
      changed: 0,
      removed: 0,
      sections: [],
      restartFor: [],
    },
    {
      change: 'refused',
      digest: 'broken',
      ...self,
      code: 'config-invalid',
      text: 'agent.yaml:3:7: vrid is 300, must be 1 to 255 (a hint)',
    },
    { ...none, ...self },
    { ...none, by: 'signal', uid: null, gid: null, pid: null, ...notSeen },
  ])
})

test('an error that nobody foresaw is 500, tells nothing of our insides, and stands in the log', async () => {
  await using test = await running()
  test.file = new Error('/secret/path: EACCES')
  const answer = await ask(test.socket, 'GET', '/v1/plan')
  expect(answer).toMatchObject({
    status: 500,
    json: { code: 'internal', message: 'The agent failed to answer; its log says why' },
  })
  expect(answer.text).not.toContain('secret')
  const [line = ''] = test.log
  expect(JSON.parse(line)).toMatchObject({ level: 'error', route: '/v1/plan', msg: 'the control API failed to answer' })
  expect(line).toContain('/secret/path: EACCES')
})

test.each([
  ['/v1/routers/%E0%A4%A', 400],
  ['/v1/nothing', 404],
  ['/v1/events?limit=x', 400],
])('%s is refused in the form of every refusal, with a hint', async (path, status) => {
  await using test = await running()
  expect(await ask(test.socket, 'GET', path)).toMatchObject({
    status,
    json: { code: 'request-invalid', message: expect.any(String) as string, hint: expect.any(String) as string },
  })
  expect(test.log).toEqual([])
})

test('GET /v1/events pages forward and backward, and by router', async () => {
  await using test = await running()
  for (const says of ['primary', 'backup', 'primary'] as const) test.world.host.elect(r1.id, says)
  await test.role('primary')
  const all = await test.records()
  const get = async (query: string): Promise<number[]> => {
    const { status, json } = await ask(test.socket, 'GET', `/v1/events?${query}`)
    expect(status).toBe(200)
    return (json as { seq: number }[]).map(({ seq }) => seq)
  }
  const seqs = all.map(({ seq }) => seq)
  expect(await get('limit=1000')).toEqual(seqs)
  expect(await get('after=1&limit=2')).toEqual([2, 3])
  expect(await get('newestFirst=true&limit=2')).toEqual(seqs.slice(-2).reverse())
  expect(await get('router=r1&limit=1000')).toEqual(all.filter(({ router }) => router === 'r1').map(({ seq }) => seq))
  expect(await get('router=r9')).toEqual([])
})

test('a bad query is 400 and says which part is wrong', async () => {
  await using test = await running()
  const bad: [query: string, names: string][] = [
    ['/v1/events?limit=0', 'limit'],
    ['/v1/events?limit=1001', 'limit'],
    ['/v1/events?limit=ten', 'limit'],
    ['/v1/events?after=-1', 'after'],
    ['/v1/events?after=1.5', 'after'],
    ['/v1/events?after=1e99', 'after'],
    ['/v1/events?newestFirst=maybe', 'newestFirst'],
    ['/v1/events?limt=5', 'limt'],
    [`/v1/events?router=${'x'.repeat(65)}`, 'router'],
    [`/v1/events?router=r1&router=r2`, 'router'],
    ['/v1/events/stream?after=x', 'after'],
    ['/v1/events/stream?limit=5', 'limit'],
    ['/v1/events/stream?after=100000', '100000'],
  ]
  for (const [path, names] of bad) {
    const answer = await ask(test.socket, 'GET', path)
    expect(answer, path).toMatchObject({ status: 400, json: { code: 'request-invalid' } })
    expect((answer.json as { message: string }).message, path).toContain(names)
  }
  for (const last of ['x', '-1', '1.5', '1e3', '0x10', '999999999999999999'])
    expect(
      await ask(test.socket, 'GET', '/v1/events/stream', { headers: { 'last-event-id': last } }),
      last,
    ).toMatchObject({
      status: 400,
      json: { code: 'request-invalid' },
    })
})

test('an unknown path or method is 404; too long headers and bodies are refused', async () => {
  await using test = await running()
  expect(await ask(test.socket, 'GET', '/v2/status')).toMatchObject({
    status: 404,
    json: { code: 'request-invalid', message: 'There is no GET /v2/status' },
  })
  expect((await ask(test.socket, 'POST', '/v1/status')).status).toBe(404)
  expect((await ask(test.socket, 'DELETE', '/v1/apply')).status).toBe(404)
  expect((await ask(test.socket, 'GET', '/v1/status', { headers: { filler: 'x'.repeat(9000) } })).status).toBe(431)
  const body = { headers: { 'content-type': 'application/json' }, body: JSON.stringify('x'.repeat(70_000)) }
  expect((await ask(test.socket, 'POST', '/v1/apply', body)).status).toBe(413)
  expect((await ask(test.socket, 'POST', '/v1/apply', { ...body, body: '{' })).status).toBe(400)
  expect((await test.records()).filter(({ kind }) => kind === 'config')).toEqual([])
})

test('GET /v1/verify walks the chain', async () => {
  await using test = await running()
  const records = await test.records()
  expect(await ask(test.socket, 'GET', '/v1/verify')).toMatchObject({
    status: 200,
    json: { ok: true, fromSeq: 1, toSeq: records.length, hash: records.at(-1)?.hash },
  })
})

test('GET /metrics and /healthz answer on the socket and, when asked for, on loopback, and nothing else there', async () => {
  const port = 20_000 + (process.pid % 20_000)
  await using test = await TestAgent.start({ routers: [r1], metricsPort: port })
  await test.role('backup')
  const { status, text, headers } = await ask(test.socket, 'GET', '/metrics')
  expect(status).toBe(200)
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
  expect(text).toContain('keepward_router_role{router="r1"} 1\n')
  expect(text).toMatch(/^keepward_journal\{what="durableSeq"\} \d+$/m)
  expect(await ask(test.socket, 'GET', '/healthz')).toMatchObject({ status: 200, text: '{"ok":true,"journal":"ok"}' })
  const loopback = `http://127.0.0.1:${String(port)}`
  expect((await fetch(`${loopback}/metrics`)).status).toBe(200)
  expect(await (await fetch(`${loopback}/healthz`)).json()).toEqual({ ok: true, journal: 'ok' })
  for (const path of ['/v1/status', '/v1/events', '/v1/openapi.json'])
    expect((await fetch(loopback + path)).status, path).toBe(404)
  expect((await fetch(`${loopback}/v1/apply`, { method: 'POST' })).status).toBe(404)
})

test('GET /v1/openapi.json describes every route', async () => {
  await using test = await running()
  const { status, json } = await ask(test.socket, 'GET', '/v1/openapi.json')
  expect(status).toBe(200)
  const { openapi, info, paths } = json as { openapi: string; info: object; paths: Record<string, object> }
  expect(openapi).toBe('3.1.0')
  expect(info).toMatchObject({ title: 'Keepward control API', version: '1.2.3' })
  expect(
    Object.entries(paths)
      .flatMap(([path, methods]) => Object.keys(methods).map((one) => `${one} ${path}`))
      .sort(),
  ).toEqual([
    'get /v1/events',
    'get /v1/events/stream',
    'get /v1/plan',
    'get /v1/routers/{id}',
    'get /v1/status',
    'get /v1/verify',
    'post /v1/apply',
    'post /v1/secrets/rotate-notifier-keys',
  ])
})

test('the event stream resumes at Last-Event-ID without gap or duplicate while transitions go on', async () => {
  await using test = await running()
  const start = test.journal.status.durableSeq
  let role: 'primary' | 'backup' = 'backup'
  const flaps = setInterval(() => {
    for (let n = 0; n < 5; n++) test.world.host.elect(r1.id, (role = role === 'backup' ? 'primary' : 'backup'))
  }, 2)
  const ids: number[] = []
  let last = start
  try {
    for (let reader = 0; reader < 6; reader++) {
      const stream = await readEvents(test.socket, '/v1/events/stream', { 'last-event-id': String(last) })
      const wanted = ids.length + 100
      await until('100 more', () => ids.length + stream.events.length >= wanted)
      stream.close()
      ids.push(...stream.events.map((event) => event.id ?? 0))
      last = ids.at(-1) ?? last
    }
  } finally {
    clearInterval(flaps)
  }
  expect(ids.length).toBeGreaterThanOrEqual(600)
  expect(ids).toEqual(ids.map((_, index) => start + 1 + index))
})

test('the event stream without Last-Event-ID begins with what comes; an empty one says nothing; `after` is where to begin', async () => {
  await using test = await running()
  await test.records()
  const live = await readEvents(test.socket, '/v1/events/stream?router=r1', { 'last-event-id': '' })
  const whole = await readEvents(test.socket, '/v1/events/stream?after=0')
  await until('both subscribed', async () =>
    (await ask(test.socket, 'GET', '/metrics')).text.includes('keepward_event_subscribers 2'),
  )
  const seq = test.journal.status.durableSeq
  test.world.host.elect(r1.id, 'primary')
  await until('told', () => live.events.some(({ event }) => event === 'transition'))
  expect(live.events[0]).toMatchObject({
    id: seq + 1,
    event: 'transition',
    data: { seq: seq + 1, router: 'r1', body: { from: 'backup', to: 'primary' } },
  })
  await until('all told', () => whole.events.length === test.journal.status.durableSeq)
  expect(whole.events.map((event) => event.id)).toEqual(whole.events.map((_, index) => index + 1))
  live.close()
  whole.close()
  await until('both gone', async () =>
    (await ask(test.socket, 'GET', '/metrics')).text.includes('keepward_event_subscribers 0'),
  )
})

test('a reader that takes nothing is ended, costs nobody else anything, and resumes where it was', async () => {
  await using test = await running()
  const start = test.journal.status.durableSeq
  const slow = await readEvents(test.socket, `/v1/events/stream?after=${String(start)}`)
  const quick = await readEvents(test.socket, `/v1/events/stream?after=${String(start)}`)
  slow.pause()
  for (let n = 0; n < 250; n++) {
    for (let k = 0; k < 20; k++) test.world.host.elect(r1.id, k % 2 === 0 ? 'primary' : 'backup')
    await new Promise(setImmediate)
  }
  const all = await test.records({ after: start })
  expect(all.length).toBeGreaterThanOrEqual(5000)
  await until('the quick reader has all', () => quick.events.length >= all.length)
  await until('the slow reader is let go', async () =>
    (await ask(test.socket, 'GET', '/metrics')).text.includes('keepward_event_subscribers 1'),
  )
  slow.resume()
  await until('its stream has ended', () => slow.ended)
  const got = slow.events.flatMap((event) => event.id ?? [])
  expect(got.length).toBeLessThan(all.length)
  const resumed = await readEvents(test.socket, '/v1/events/stream', { 'last-event-id': String(got.at(-1) ?? start) })
  await until('the rest', () => got.length + resumed.events.length >= all.length)
  // What happened meanwhile comes behind it.
  const ids = [...got, ...resumed.events.map((event) => event.id)]
  expect(ids.slice(0, all.length)).toEqual(all.map(({ seq }) => seq))
  quick.close()
  resumed.close()
})

test('a reader of a long journal at its own pace is not taken for a slow one', async () => {
  await using test = await running()
  for (let n = 0; n < 250; n++) {
    for (let k = 0; k < 20; k++) test.world.host.elect(r1.id, k % 2 === 0 ? 'primary' : 'backup')
    await new Promise(setImmediate)
  }
  const all = await test.records()
  const reader = await readEvents(test.socket, '/v1/events/stream?after=0')
  while (reader.events.length < all.length && !reader.ended) {
    reader.pause()
    await new Promise((resolve) => setTimeout(resolve, 5))
    reader.resume()
    await new Promise(setImmediate)
  }
  expect(reader.events.slice(0, all.length).map((event) => event.id)).toEqual(all.map(({ seq }) => seq))
  reader.close()
})

test('the event stream ends when the agent stops', async () => {
  await using test = await running()
  const reader = await readEvents(test.socket, '/v1/events/stream')
  await test.stop()
  await until('ended', () => reader.ended)
})

test('a client that opens a connection and says nothing, or half a request, holds nobody up', async () => {
  await using test = await running()
  const silent = Array.from({ length: 20 }, () => connect(test.socket))
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  for (const socket of silent.slice(10)) socket.write('GET /v1/status HTTP/1.1\r\nHost: x\r\n')
  const startedMs = performance.now()
  expect((await ask(test.socket, 'GET', '/v1/status')).status).toBe(200)
  expect(performance.now() - startedMs).toBeLessThan(500)
  for (const socket of silent) socket.destroy()
})

test('a second agent on the same socket is refused', async () => {
  await using test = await running()
  const answer = await ask(test.socket, 'GET', '/healthz')
  expect(answer.status).toBe(200)
  const { SafeDir } = await import('../../src/linux/safe-dir.ts')
  const { listenAt } = await import('../../src/linux/unix-socket.ts')
  const { createServer } = await import('node:http')
  const dir = SafeDir.open(`${test.directory}/run`)
  await expect(listenAt(createServer(), dir, 'control.sock', { mode: 0o600 })).rejects.toMatchObject({
    code: 'state-in-use',
  })
  dir.close()
})
