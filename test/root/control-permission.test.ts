import { chmodSync, lstatSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { TestAgent } from '../support/agent.ts'
import { routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const readers = 54_321
const nobody = 65_534

/** connect(2) as somebody else: the kernel keeps who that was. */
function connectAs(path: string, uid: number, gid: number, groups: number[]): Socket {
  const before = process.getgroups?.() ?? []
  process.setgroups?.(groups)
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return connect(path)
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(before)
  }
}

type As = readonly [uid: number, gid: number, groups: number[]]

interface Refusable {
  readonly status: number
  readonly text: string
  /** The agent ended the connection with the answer. */
  readonly closed: boolean
}

async function askAs(test: TestAgent, [uid, gid, groups]: As, method: string, path: string): Promise<Refusable> {
  const socket = connectAs(test.socket, uid, gid, groups)
  await once(socket, 'connect')
  const sent = request({ createConnection: () => socket, method, path, headers: { connection: 'keep-alive' } })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk
  const closed = response.headers.connection === 'close'
  if (closed) await once(socket, 'close')
  socket.destroy()
  return { status: response.statusCode ?? 0, text, closed }
}

/** An agent whose socket anybody can reach: what is left is the check of who it is. */
async function exposed(): Promise<TestAgent> {
  const test = await TestAgent.start({ routers: [routerSpec()], policy: { readerGid: readers } })
  for (const path of [test.directory, join(test.directory, 'run')]) chmodSync(path, 0o711)
  chmodSync(test.socket, 0o666)
  await test.role('backup')
  return test
}

const paths = [
  '/v1/status',
  '/v1/routers/r1',
  '/v1/plan',
  '/v1/events',
  '/v1/events/stream',
  '/v1/verify',
  '/metrics',
  '/healthz',
  '/v1/openapi.json',
  '/none',
]

test('a stranger is refused everything with 403, and the connection is closed', async () => {
  await using test = await exposed()
  for (const path of paths) {
    const answer = await askAs(test, [nobody, nobody, []], 'GET', path)
    expect(answer, path).toMatchObject({ status: 403, closed: true })
    expect(JSON.parse(answer.text), path).toMatchObject({ code: 'permission-denied' })
  }
  expect(await askAs(test, [nobody, nobody, []], 'POST', '/v1/apply')).toMatchObject({ status: 403, closed: true })
  // A group that bears the number of root's is no privilege.
  expect(await askAs(test, [nobody, 0, [0]], 'GET', '/v1/status')).toMatchObject({ status: 403 })
})

test('who was denied is in the journal, and several of a kind at once are not several records', async () => {
  await using test = await exposed()
  for (let n = 0; n < 3; n++) await askAs(test, [nobody, nobody, []], 'GET', '/v1/status')
  await askAs(test, [1234, readers, []], 'POST', '/v1/apply')
  const denied = async () => (await test.records()).filter(({ kind }) => kind === 'refusal').map(({ body }) => body)
  await until('both are written', async () => (await denied()).length === 2)
  const who = { decision: 'denied', router: null, state: null, key: null, controlGroup: null, count: 1 }
  expect(await denied()).toMatchObject([
    { ...who, reason: 'control-connect', uid: nobody, gid: nobody },
    { ...who, reason: 'control-change', uid: 1234, gid: readers },
  ])
})

test('a member of the group of readers may look at everything and change nothing', async () => {
  await using test = await exposed()
  const members: As[] = [
    [1234, readers, []],
    [1234, 1234, [7, readers]],
  ]
  for (const member of members) {
    for (const path of ['/v1/status', '/v1/routers/r1', '/v1/plan', '/v1/events', '/v1/verify', '/metrics', '/healthz'])
      expect(await askAs(test, member, 'GET', path), path).toMatchObject({ status: 200 })
    const refused = await askAs(test, member, 'POST', '/v1/apply')
    expect(refused).toMatchObject({ status: 403, closed: true })
    expect(JSON.parse(refused.text)).toMatchObject({
      message: 'This user may not change anything here',
      hint: 'root and the agent’s own user may do all, members of control.group may read',
    })
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      expect(await askAs(test, member, method, '/v1/status'), method).toMatchObject({ status: 403 })
  }
  // What a plan makes the root half read is written down, of both as one within ten seconds.
  const [planned, ...others] = (await test.records()).filter(({ kind }) => kind === 'config')
  expect(planned?.body).toMatchObject({ change: 'planned', uid: 1234, gid: readers, count: 1 })
  expect(others).toEqual([])
})

test('root may do all', async () => {
  await using test = await exposed()
  expect(await askAs(test, [0, 0, []], 'GET', '/v1/status')).toMatchObject({ status: 200 })
  expect(await askAs(test, [0, 0, []], 'POST', '/v1/apply')).toMatchObject({ status: 200 })
})

test('the socket itself lets nobody pass but its owner and the group of readers', async () => {
  await using test = await TestAgent.start({ policy: { readerGid: readers } })
  for (const path of [test.directory, dirname(test.socket)]) chmodSync(path, 0o711)
  const { mode, uid, gid } = lstatSync(test.socket)
  expect({ mode: mode & 0o777, uid, gid }).toEqual({ mode: 0o660, uid: 0, gid: readers })
  const [error] = (await once(connectAs(test.socket, nobody, nobody, []), 'error')) as [Error]
  expect(error).toMatchObject({ code: 'EACCES' })
  const member = connectAs(test.socket, nobody, readers, [])
  await once(member, 'connect')
  member.destroy()
})
