import { closeSync, mkdtempSync, openSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { KeepwardError } from '../../src/base/error.ts'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { HostLink } from '../../src/host/link.ts'
import type { HostAnswers, HostOperation, RootHalf, Table } from '../../src/host/operation.ts'
import type { HostRefusal } from '../../src/host/refusal.ts'
import { hostSocketName, serveHost } from '../../src/host/server.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { descriptorOf } from '../../src/linux/unix-socket.ts'
import { id, table } from '../support/router.ts'
import { until } from '../support/until.ts'

const hash = 'c'.repeat(64)

/** Answers each question after a moment, and counts how many are asked at once. */
class Root implements RootHalf {
  readonly asked: string[] = []
  tookMs = 5
  underWay = 0
  knowsNothing = false
  wasAgain = false
  most = 0
  configure(wanted: Table | 'nothing'): Promise<void> {
    this.asked.push(wanted === 'nothing' ? 'nothing' : `configure ${wanted.hash.slice(0, 1)}`)
    this.wasAgain = wanted !== 'nothing' && wanted.again === true
    return refuses ? Promise.reject(new KeepwardError('config-changed', 'It is refused')) : Promise.resolve()
  }
  stage(): Promise<void> {
    return Promise.resolve()
  }
  async perform<O extends HostOperation>({ verb }: O): Promise<HostAnswers[O['verb']]> {
    this.asked.push(verb)
    if (this.knowsNothing) throw new KeepwardError('router-unknown', 'Nobody knows it')
    this.most = Math.max(this.most, ++this.underWay)
    await new Promise((resolve) => setTimeout(resolve, this.tookMs))
    this.underWay -= 1
    return undefined as HostAnswers[O['verb']]
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}

let directory: string
let dir: SafeDir
let link: HostLink
let root: Root
let troubles: (string | undefined)[]
let refused: HostRefusal[]
let stop: () => Promise<void>
let copyTrouble: string | undefined
let refuses = false

const serve = async () => {
  root = new Root()
  const openRoot = () => root
  const tableOf = () => Promise.resolve({ ...table([]), hash })
  stop = await serveHost({
    dir,
    agentUid: 0,
    openRoot,
    applied: { tableOf, forget: () => Promise.resolve() },
    onPseudonymKey: (key) => {
      root.asked.push(`key ${key.revealBytes().toString('hex').slice(0, 4)}`)
    },
    onRefused: () => undefined,
    sign: () => Promise.resolve(copyTrouble),
  })
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kwt-link-'))
  dir = SafeDir.open(directory)
  troubles = []
  refused = []
  await serve()
  const made = await HostLink.open({
    path: join(directory, hostSocketName),
    ownerUid: 0,
    emit: () => undefined,
    pseudonymKey: new Secret(Buffer.alloc(32, 0xab)),
    onRefused: (refusal) => refused.push(refusal),
    onTrouble: (text) => troubles.push(text),
  })
  closeSync(made.watchFd)
  link = made.link
})
afterEach(async () => {
  await link.close()
  await stop()
  dir.close()
  rmSync(directory, { recursive: true })
})

const inspect = () => link.perform({ verb: 'inspect', router: id('r1') })

test('questions about thousands of routers at once are all answered, no more under way than the other half takes', async () => {
  await Promise.all(Array.from({ length: 5000 }, inspect))
  expect(root.asked.filter((one) => one === 'inspect')).toHaveLength(5000)
  expect(root.most).toBeLessThanOrEqual(1024)
})

test('what waits when the other half goes fails; when it is back it is told first which routers are wanted', async () => {
  await link.configure({ hash, routers: [] })
  root.tookMs = 500
  const waiting = inspect()
  waiting.catch(() => undefined)
  await until('it is asked', () => root.asked.includes('inspect'))
  await stop()
  await expect(waiting).rejects.toMatchObject({ code: 'host-unreachable' })
  await expect(inspect()).rejects.toMatchObject({ code: 'host-unreachable' })
  expect(troubles).toHaveLength(1)
  await serve()
  await until('it is back', async () => {
    await inspect()
    return true
  })
  expect(root.asked).toEqual(['key abab', 'configure c', 'inspect'])
  await until('that is told', () => troubles.at(-1) === undefined)
})

test('a table that the other half refuses is told it again ever more seldom, and the link is whole once it is taken', async () => {
  await link.configure({ hash, routers: [] })
  expect(root.wasAgain).toBe(false)
  await stop()
  refuses = true
  await serve()
  const told = () => root.asked.filter((one) => one.startsWith('configure')).length
  await until('it is told some times', () => told() >= 4)
  await wait(1500)
  expect(told()).toBeLessThan(10)
  expect(root.wasAgain).toBe(true)
  refuses = false
  await until('the link is whole', () => troubles.at(-1) === undefined, 5000)
  await inspect()
  const asked = root.asked.length
  await wait(2500)
  expect(root.asked.length).toBe(asked)
})

test('an agent that starts with what was applied says so', async () => {
  await link.configure({ hash, routers: [], again: true })
  expect(root.wasAgain).toBe(true)
})

test('more questions than can be kept are refused, and the others answered', async () => {
  // What is said at the connection is answered by then.
  await inspect()
  const asked = await Promise.allSettled(Array.from({ length: 20_000 }, inspect))
  const refused = asked.filter(({ status }) => status === 'rejected')
  expect(refused.length).toBe(20_000 - 16_384 - 1024)
  expect(root.asked.filter((one) => one === 'inspect')).toHaveLength(1 + 16_384 + 1024)
})

test('an operation that the other half refuses fails here, and is told of to be written down', async () => {
  await link.configure({ hash, routers: [] })
  root.knowsNothing = true
  await expect(inspect()).rejects.toMatchObject({ code: 'router-unknown' })
  await until('it is told', () => refused.length === 1)
  const peer = { uid: process.geteuid?.(), gid: process.getegid?.(), pid: process.pid }
  const executable = us
  expect(refused).toEqual([
    { reason: 'router-unknown', text: 'Nobody knows it', verb: 'inspect', router: 'r1', peer, executable, count: 1 },
  ])
})

/** A connection to ourselves, by the descriptor of its far end. */
async function ownConnection() {
  const server = createServer().listen({ path: `\0kwt-link-${String(process.pid)}` })
  await once(server, 'listening')
  const client = connect(`\0kwt-link-${String(process.pid)}`)
  const [accepted] = (await once(server, 'connection')) as [Socket]
  return {
    fd: descriptorOf(accepted) ?? -1,
    [Symbol.dispose]: () => {
      client.destroy()
      accepted.destroy()
      server.close()
    },
  }
}

const us = { path: realpathSync(process.execPath), by: 'connection' }

test('what a peer runs is asked by handing its connection over, also after the other half came back', async () => {
  await link.configure({ hash, routers: [] })
  using connection = await ownConnection()
  expect(await link.executableBehind(connection.fd)).toEqual(us)
  const nothing = openSync('/dev/null', 'r')
  const asked = [connection.fd, nothing, connection.fd, nothing].map((fd) => link.executableBehind(fd))
  closeSync(nothing)
  expect(await Promise.all(asked), 'each its own').toEqual([us, undefined, us, undefined])
  await stop()
  await until('it is gone', async () => (await link.executableBehind(connection.fd).catch(() => 'gone')) !== us)
  await serve()
  await until(
    'it is back',
    async () => (await link.executableBehind(connection.fd).catch(() => undefined))?.path === us.path,
  )
})

test('more than 200 at once are refused, and those that were allowed are answered rightly', async () => {
  await link.configure({ hash, routers: [] })
  using connection = await ownConnection()
  const answers = await Promise.allSettled(Array.from({ length: 230 }, () => link.executableBehind(connection.fd)))
  const given = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(given.length).toBeGreaterThanOrEqual(200)
  expect(given.length).toBeLessThan(230)
  expect(new Set(given.map((one) => one?.path))).toEqual(new Set([us.path]))
  await until('it is told', () => refused.length > 0)
  expect(refused[0]).toMatchObject({ reason: 'request-invalid', verb: 'peer-executable' })
})

test('no descriptor is left open, however often the other half comes and goes', async () => {
  await link.configure({ hash, routers: [] })
  using connection = await ownConnection()
  const openNow = () => readdirSync('/proc/self/fd').length
  await link.executableBehind(connection.fd)
  const before = openNow()
  for (let n = 0; n < 5; n++) {
    await stop()
    await serve()
    await until(
      'it is back',
      async () => (await link.executableBehind(connection.fd).catch(() => undefined)) !== undefined,
    )
  }
  await until('as many as before', () => openNow() <= before)
})

test('sign() gives why what was signed cannot be copied', async () => {
  const point = { journal: 'a'.repeat(32), start: 1, seq: 1, hash }
  expect(await link.sign(point)).toBeUndefined()
  copyTrouble = 'Nobody listens at /dev/log'
  expect(await link.sign(point)).toBe('Nobody listens at /dev/log')
  copyTrouble = undefined
})
