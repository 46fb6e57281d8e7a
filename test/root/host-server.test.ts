import { mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { KeepwardError } from '../../src/base/error.ts'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostAnswers, HostOperation, RootEvent, RootHalf, Table } from '../../src/host/operation.ts'
import type { HostRefusal } from '../../src/host/refusal.ts'
import { hostSocketName, serveHost } from '../../src/host/server.ts'
import type { Ask } from '../../src/host/wire.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { routerSpec } from '../support/router.ts'
import { Sender } from '../support/sender/sender.ts'
import { until } from '../support/until.ts'

const uid = 60_991
const hash = 'a'.repeat(64)

/** Notes what it is asked, and answers when it is told. */
class Root implements RootHalf {
  readonly asked: unknown[] = []
  emit: (event: RootEvent) => void = () => undefined
  ready: Promise<unknown> = Promise.resolve()
  configure(table: Table | 'nothing'): Promise<void> {
    this.asked.push(['configure', table])
    return Promise.resolve()
  }
  stage(table: Table): Promise<void> {
    this.asked.push(['stage', table])
    return Promise.resolve()
  }
  async perform<O extends HostOperation>(operation: O): Promise<HostAnswers[O['verb']]> {
    this.asked.push(operation)
    await this.ready
    return undefined as HostAnswers[O['verb']]
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}

let directory: string
let dir: SafeDir
let root: Root
let refused: HostRefusal[]
let stop: () => Promise<void>

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kwt-host-'))
  dir = SafeDir.open(join(directory, 'host'), { create: true, mode: 0o711 })
  root = new Root()
  refused = []
  const table = { hash, routers: [routerSpec()] }
  stop = await serveHost({
    dir,
    agentUid: uid,
    openRoot: (emit) => {
      root.emit = emit
      return root
    },
    applied: {
      tableOf: (wanted) =>
        wanted === hash
          ? Promise.resolve(table)
          : Promise.reject(new KeepwardError('config-changed', 'The config file was changed')),
      forget: () => Promise.resolve(),
    },
    sign: (point) => {
      root.asked.push(['sign', point])
      return Promise.resolve(undefined)
    },
    onPseudonymKey: (key) => root.asked.push(['key', key.revealBytes().length]),
    onRefused: (refusal) => {
      refused.push(refusal)
    },
  })
})
afterEach(async () => {
  await stop()
  dir.close()
  rmSync(directory, { recursive: true })
})

const path = () => join(directory, 'host', hostSocketName)

test('whoever would serve where somebody answers is refused, and the socket stays the agent’s', async () => {
  const seen = () => {
    const { uid: owner, gid, mode, ino } = statSync(path())
    return { owner, gid, mode, ino }
  }
  const before = seen()
  const second = serveHost({
    dir,
    agentUid: uid,
    openRoot: () => new Root(),
    applied: { tableOf: () => Promise.reject(new Error('nobody asks')), forget: () => Promise.resolve() },
    sign: () => Promise.resolve(undefined),
    onPseudonymKey: () => undefined,
    onRefused: () => undefined,
  })
  await expect(second).rejects.toMatchObject({ code: 'state-in-use' })
  expect(before.owner).toBe(uid)
  expect(seen()).toEqual(before)
})

/** Send this, and give back the lines that come until the other side ends or `forMs` is over; the first two are empty, as each bears a descriptor. */
async function say(
  text: string,
  forMs = 1500,
): Promise<{ readonly lines: readonly string[]; readonly ended: boolean }> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let heard = ''
  const socket: Socket = connect(path())
  socket.setEncoding('utf8')
  socket.on('data', (more: string) => (heard += more))
  socket.on('error', () => undefined)
  socket.on('close', () => {
    resolve(true)
  })
  socket.write(text)
  const timer = setTimeout(resolve, forMs, false)
  const ended = await promise
  clearTimeout(timer)
  socket.destroy()
  return { lines: heard.split('\n').slice(2, -1), ended }
}

const ask = (fields: Readonly<Record<string, unknown>>) => `${JSON.stringify(fields)}\n`
/** Of nothing that was asked, by this process. */
const refusal = (reason: HostRefusal['reason'], text: string): HostRefusal => ({
  reason,
  text,
  verb: undefined,
  router: undefined,
  peer: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, pid: process.pid },
  executable: { path: realpathSync(process.execPath), by: 'connection' },
  count: 1,
})
const look = { id: 1, verb: 'inspect', router: 'r1' }
const point = { id: 1, verb: 'anchor', journal: 'b'.repeat(32), start: 1, seq: 7, hash }
const news = { role: 'primary', previous: 'backup', sequence: 7, atMs: 1, cause: 'kernel' }
const hook = { id: 1, verb: 'run-hook', router: 'r1', hook: 0, digest: hash, ...news }

test('the socket is the agent’s alone, and another user cannot open it', async () => {
  expect(statSync(path())).toMatchObject({ uid, mode: 0o140600 })
  await using stranger = await Sender.start({ uid: 65_534, gid: 65_534 })
  expect(await stranger.do('connect', path())).toBe('EACCES')
})

test('a hook is asked for by its place and its digest', async () => {
  await say(ask(hook))
  expect(root.asked).toHaveLength(1)
})

test('an operation is carried out and answered, and an event told', async () => {
  const heard = say(ask(look), 300)
  await until('it was asked', () => root.asked.length === 1)
  root.emit({ type: 'rejected' })
  expect((await heard).lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { id: 1, answer: null },
    { event: { type: 'rejected' } },
  ])
})

test('what becomes of Vault is told to an agent that comes later too, as it was last', async () => {
  root.emit({ type: 'vault', trouble: 'sealed' })
  root.emit({ type: 'vault', trouble: null })
  expect((await say('', 200)).lines).toEqual(['{"event":{"type":"vault","trouble":null}}'])
})

test('the end of a journal is handed on to be signed', async () => {
  expect((await say(ask(point), 300)).lines).toEqual(['{"id":1,"answer":null}'])
  expect(root.asked).toMatchObject([['sign', { journal: 'b'.repeat(32), start: 1, seq: 7, hash }]])
})

describe('what is not of the form ends the connection, and nothing is done', () => {
  const long = 'x'.repeat(100_000)
  test.each<readonly [what: string, text: string]>([
    ['no JSON', 'hello\n'],
    ['a list', '[]\n'],
    ['null', 'null\n'],
    ['an unknown verb', ask({ ...look, verb: 'run' })],
    ['a verb of every object', ask({ ...look, verb: 'constructor' })],
    ['no verb', ask({ id: 1, router: 'r1' })],
    ['no id', ask({ verb: 'inspect', router: 'r1' })],
    ['an id that is text', ask({ ...look, id: '1' })],
    ['an id of 0', ask({ ...look, id: 0 })],
    ['an id that is no whole number', ask({ ...look, id: 1.5 })],
    ['an id beyond all', ask({ ...look, id: 2 ** 60 })],
    ['no router', ask({ id: 1, verb: 'start-keepalived' })],
    ['a path for a router', ask({ ...look, router: '../../etc' })],
    ['an absolute path for a router', ask({ ...look, router: '/etc/passwd' })],
    ['a router with a NUL', ask({ ...look, router: 'r1\0' })],
    ['a router with a line feed', ask({ ...look, router: 'r1\nr2' })],
    ['a router that is a list', ask({ ...look, router: ['r1'] })],
    ['a router that is a number', ask({ ...look, router: 1 })],
    ['a long router', ask({ ...look, router: 'r'.repeat(65) })],
    ['a path beside', ask({ ...look, verb: 'write-config', path: '/etc/shadow' })],
    ['a text beside', ask({ ...look, verb: 'write-config', text: 'vrrp_instance x {}' })],
    ['arguments beside', ask({ ...look, verb: 'start-keepalived', argv: ['/bin/sh'] })],
    ['a pid beside', ask({ ...look, verb: 'reload-keepalived', pid: 1 })],
    ['a namespace beside', ask({ ...look, verb: 'ensure-namespace', namespace: 'other' })],
    ['an interface that is a path', ask({ ...look, verb: 'ensure-interface', interface: '../eth0' })],
    ['an interface with an option', ask({ ...look, verb: 'ensure-interface', interface: 'ha0 up' })],
    ['a long interface', ask({ ...look, verb: 'remove-interface', interface: 'a'.repeat(16) })],
    ['a config as text', ask({ id: 1, verb: 'configure', hash, text: 'routers: []' })],
    ['a config without its hash', ask({ id: 1, verb: 'configure' })],
    ['a hash that is none', ask({ id: 1, verb: 'stage', hash: 'A'.repeat(64) })],
    ['an anchor without its journal', ask({ ...point, journal: undefined })],
    ['an anchor of a journal that is a path', ask({ ...point, journal: '../../etc/cron.d/x' })],
    ['an anchor of record 0', ask({ ...point, seq: 0 })],
    ['an anchor of a part of a record', ask({ ...point, seq: 1.5 })],
    ['an anchor of a record beyond all', ask({ ...point, seq: 2 ** 53 })],
    ['an anchor whose hash is text', ask({ ...point, hash: 'x'.repeat(64) })],
    ['a key of pseudonyms that is text', ask({ id: 1, verb: 'use-pseudonym-key', key: '../../etc/shadow' })],
    ['an anchor with a time', ask({ ...point, wallMs: 0 })],
    ['a reaction that there is not', ask({ ...look, verb: 'react', reaction: 'sh', stance: 'primary' })],
    ['a reaction that is a path', ask({ ...look, verb: 'react', reaction: '../radvd', stance: 'primary' })],
    ['a stance that is text', ask({ ...look, verb: 'react', reaction: 'radvd', stance: 'primary; reboot' })],
    ['a config beside a reaction', ask({ ...look, verb: 'react', reaction: 'radvd', stance: 'backup', config: '/x' })],
    ['a hook by its place alone', ask({ ...hook, digest: undefined })],
    ['a hook by its path', ask({ ...hook, digest: '/bin/sh' })],
    ['a hook beyond those that there can be', ask({ ...hook, hook: 8 })],
    ['a hook before the first', ask({ ...hook, hook: -1 })],
    ['a role of which no hook hears', ask({ ...hook, role: 'unknown' })],
    ['a role that there is not', ask({ ...hook, previous: 'MASTER' })],
    ['a cause as text', ask({ ...hook, cause: 'kernel\nX=1' })],
    ['a moment that is text', ask({ ...hook, atMs: '$(reboot)' })],
    ['a user beside a hook', ask({ ...hook, user: 'root' })],
    ['an environment beside a hook', ask({ ...hook, env: { LD_PRELOAD: '/tmp/x.so' } })],
    ['a table that there is not', ask({ ...look, verb: 'ensure-table', table: 'filter' })],
    ['rules beside a table', ask({ ...look, verb: 'ensure-table', table: 'operator', text: 'flush ruleset' })],
    ['a file beside a table', ask({ ...look, verb: 'ensure-table', table: 'operator', file: '/etc/nftables.conf' })],
    ['a process to look into', ask({ id: 1, verb: 'peer-executable', pid: 1 })],
    ['a descriptor to look into', ask({ id: 1, verb: 'peer-executable', fd: 3 })],
    ['an again that is text', ask({ id: 1, verb: 'configure', hash, again: 'yes' })],
    ['an again that is a number', ask({ id: 1, verb: 'configure', hash, again: 1 })],
    ['an again that is null', ask({ id: 1, verb: 'configure', hash, again: null })],
    ['a stage that is again', ask({ id: 1, verb: 'stage', hash, again: true })],
    ['a config where none is wanted', ask({ id: 1, verb: 'configure-nothing', hash })],
    ['a depth that there is not', ask({ ...look, verb: 'look', depth: 'everything' })],
    ['a line without an end', long],
    ['a long line', ask({ ...look, router: long })],
    ['a huge list', ask({ ...look, router: Array.from({ length: 50_000 }, () => 'r1') })],
  ])('%s', async (_what, text) => {
    const { lines, ended } = await say(text + ask({ id: 2, verb: 'inspect', router: 'r1' }))
    expect([lines, ended]).toEqual([[], true])
    expect(refused).toMatchObject([{ reason: text.length > 1024 ? 'request-too-long' : 'request-malformed', count: 1 }])
    const said = refused.map((one) => ({ ...one, executable: undefined }))
    expect(JSON.stringify(said)).not.toMatch(/\/etc|\/bin|vrrp_instance|eth0/)
    expect(root.asked).toEqual([])
  })
})

/** A request of each verb, so that one which is new cannot be left out. */
const forms: Readonly<Record<Ask['verb'], Readonly<Record<string, unknown>>>> = {
  configure: { hash },
  'configure-nothing': {},
  stage: { hash },
  'peer-executable': {},
  'use-pseudonym-key': { key: hash },
  anchor: { journal: 'b'.repeat(32), start: 1, seq: 7, hash },
  'list-owned': {},
  look: { router: 'r1', depth: 'all' },
  react: { router: 'r1', reaction: 'radvd', stance: 'primary' },
  'run-hook': { router: 'r1', hook: 0, digest: hash, ...news },
  inspect: { router: 'r1' },
  glance: { router: 'r1' },
  preview: { router: 'r1' },
  'ask-keepalived': { router: 'r1' },
  'ensure-namespace': { router: 'r1' },
  'ensure-interface': { router: 'r1', interface: 'ha0' },
  'remove-interface': { router: 'r1', interface: 'ha0' },
  'ensure-table': { router: 'r1', table: 'vrrp' },
  'write-config': { router: 'r1' },
  'start-keepalived': { router: 'r1' },
  'reload-keepalived': { router: 'r1' },
  'remove-router': { router: 'r1' },
}

test.each(Object.entries(forms))(
  '%s with a field more, a field less or one of another form is not done',
  async (verb, form) => {
    const whole = { id: 1, verb, ...form }
    const broken = [
      { ...whole, argv: ['/bin/sh'] },
      { ...whole, path: '/etc/shadow' },
      ...['id', ...Object.keys(form)].flatMap((field) =>
        [undefined, null, '/bin/sh', ['r1'], { r1: 1 }, -1, true].map((value) => ({ ...whole, [field]: value })),
      ),
    ]
    for (const one of broken) expect(await say(ask(one)), JSON.stringify(one)).toEqual({ lines: [], ended: true })
    expect(root.asked).toEqual([])
    expect((await say(ask(whole), 50)).ended).toBe(false)
  },
)

test.each([
  ['repeated', [1, 1]],
  ['older', [5, 4]],
])('a request that is %s ends the connection before it is done', async (_what, ids) => {
  const { ended } = await say(ids.map((id) => ask({ ...look, id })).join(''))
  expect(ended).toBe(true)
  expect(root.asked).toHaveLength(1)
  const text = `request ${String(ids[1])} comes after request ${String(ids[0])}`
  expect(refused).toEqual([{ ...refusal('request-repeated', text), verb: 'inspect', router: 'r1' }])
})

test('more requests than may wait end the connection', async () => {
  root.ready = new Promise(() => undefined)
  const { ended } = await say(Array.from({ length: 1100 }, (_, n) => ask({ ...look, id: n + 1 })).join(''))
  expect(ended).toBe(true)
  expect(root.asked).toHaveLength(1024)
  const text = 'more than 1024 requests wait for their answers'
  expect(refused).toEqual([{ ...refusal('requests-too-many', text), verb: 'inspect', router: 'r1' }])
})

test('a config other than the one on disk is refused, and the table stays', async () => {
  const { lines } = await say(ask({ id: 1, verb: 'configure', hash: 'b'.repeat(64) }), 200)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: 1, error: { code: 'config-changed' } })
  expect(root.asked).toEqual([])
  expect(refused).toEqual([{ ...refusal('config-changed', 'The config file was changed'), verb: 'configure' }])
})

test('what was refused is told to the next agent that has said which routers are wanted, once, in counts', async () => {
  root.ready = Promise.reject(new KeepwardError('router-unknown', 'Nobody knows it'))
  root.ready.catch(() => undefined)
  const asks = Array.from({ length: 50 }, (_, n) =>
    ask({ id: n + 1, verb: 'start-keepalived', router: `r${String(n)}` }),
  )
  expect((await say(asks.join(''), 300)).lines).toHaveLength(50)
  root.ready = Promise.resolve()
  await say('hello\n')
  expect(refused.map(({ reason, count }) => [reason, count])).toEqual([
    ['router-unknown', 1],
    ['request-malformed', 1],
  ])
  expect((await say(ask({ id: 1, verb: 'list-owned' }), 200)).lines).toHaveLength(1)
  const { lines } = await say(ask({ id: 1, verb: 'configure', hash }), 300)
  const told = lines.map((line) => JSON.parse(line) as { refused?: HostRefusal })
  expect(told.flatMap(({ refused: one }) => (one === undefined ? [] : [one.reason]))).toEqual([
    'router-unknown',
    'request-malformed',
  ])
  expect((await say(ask({ id: 1, verb: 'configure', hash }), 300)).lines).toEqual(['{"id":1,"answer":null}'])
  await stop()
  expect(refused.at(-1)).toMatchObject({ reason: 'router-unknown', router: 'r49', verb: 'start-keepalived', count: 49 })
})

test('what cannot be done although it may is no refusal', async () => {
  root.ready = Promise.reject(new KeepwardError('keepalived-silent', 'it does not run'))
  root.ready.catch(() => undefined)
  expect((await say(ask(look), 200)).lines).toHaveLength(1)
  expect(refused).toEqual([])
})

test('an agent that dies within a question leaves nothing behind, and the next one is served', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  root.ready = promise
  await say(ask(look), 100)
  resolve(undefined)
  root.ready = Promise.resolve()
  expect((await say(ask(look), 200)).lines).toEqual(['{"id":1,"answer":null}'])
  expect(refused).toEqual([])
})

test('an agent that reads nothing is let go', async () => {
  const socket = connect(path())
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.pause()
  await until('it is connected', () => !socket.connecting)
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (let n = 0; n < 2_000_000 && refused.length === 0; n++) {
    root.emit({ type: 'rejected' })
    if (n % 1000 === 999) await new Promise(setImmediate)
  }
  expect(refused).toEqual([refusal('answers-unread', 'the agent does not read its answers')])
  socket.resume()
  await closed
})
