import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { anchorsFileOf } from './anchor.ts'
import { AnchorKeeper, type KeeperOptions } from './keeper.ts'
import { readAnchors, readOthers } from './read.ts'
import { until } from '../../test/support/until.ts'
import { thin } from './retention.ts'
import { syslogText, type SyslogTarget } from './syslog.ts'

const journal = 'b'.repeat(32)
const point = (seq: number, hash = 'a', start = 1) => ({ journal, start, seq, hash: hash.repeat(64) })

let home: string
let path: string
let nowMs: number
let troubles: (string | undefined)[]
let keepers: AnchorKeeper[]
let newJournals: string[]

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kwt-anchor-'))
  path = join(home, 'anchors')
  nowMs = 1_000_000
  troubles = []
  keepers = []
  newJournals = []
})
afterEach(() => {
  for (const keeper of keepers) keeper.close()
  rmSync(home, { recursive: true })
})

function keeper(syslog: SyslogTarget = { kind: 'none' }): AnchorKeeper {
  const options: KeeperOptions = {
    path,
    agent: 'host1',
    clock: () => ({ wallMs: 1_795_255_200_000 + nowMs, monoMs: nowMs }),
    syslog,
    onCopyTrouble: (text) => troubles.push(text),
    onNewJournal: (id, besides) => newJournals.push(`${id.slice(0, 4)} ${String(besides)}`),
  }
  const made = new AnchorKeeper(options)
  keepers.push(made)
  return made
}

const file = () => join(path, anchorsFileOf(journal))
const modeOf = (name: string) => (statSync(join(path, name)).mode & 0o777).toString(8)

test('sign() makes a key that root alone can read, and anchors that anybody can check', async () => {
  const one = keeper()
  await one.sign(point(3))
  await one.sign(point(9, 'c'))
  expect([modeOf('.'), modeOf('anchor.key'), modeOf('anchor.pub'), modeOf(anchorsFileOf(journal))]).toEqual([
    '755',
    '600',
    '644',
    '644',
  ])
  const { anchors, fault } = await readAnchors(file(), journal)
  expect(fault).toBeUndefined()
  expect(anchors).toMatchObject([
    { ...point(3), agent: 'host1', wallMs: 1_795_256_200_000 },
    { ...point(9, 'c'), agent: 'host1' },
  ])
})

test('sign() takes no second word for what was signed, in this life or the next', async () => {
  await keeper().sign(point(9, 'a', 2))
  for (const one of [keepers[0] ?? keeper(), keeper()]) {
    await expect(one.sign(point(9, 'c', 2))).rejects.toMatchObject({ code: 'anchor-refused' })
    await expect(one.sign(point(8, 'a', 2))).rejects.toMatchObject({ code: 'anchor-refused' })
    await expect(one.sign(point(10, 'a', 1))).rejects.toMatchObject({
      code: 'anchor-refused',
      message: `Journal ${journal} is at record 10 of start 1, but record 9 of start 2 was signed before`,
    })
    // The answer to the first time was lost.
    await one.sign(point(9, 'a', 2))
  }
  expect((await readAnchors(file(), journal)).anchors).toHaveLength(1)
})

test('sign() goes on after a line that a crash cut short', async () => {
  await keeper().sign(point(3))
  appendFileSync(file(), 'keepward-anchor 1 host1 bbbb')
  await keeper().sign(point(4))
  expect(await readAnchors(file(), journal)).toMatchObject({ anchors: [{ seq: 3 }, { seq: 4 }], fault: undefined })
})

test('sign() keeps the public half of a key that is lost', async () => {
  await keeper().sign(point(3))
  rmSync(join(path, 'anchor.key'))
  await keeper().sign(point(4))
  const { anchors, fault } = await readAnchors(file(), journal)
  expect([fault, new Set(anchors.map(({ key }) => key)).size]).toEqual([undefined, 2])
})

test('sign() refuses to be asked again and again, and a journal too many', async () => {
  const one = keeper()
  for (let seq = 1; seq <= 10; seq++) await one.sign(point(seq))
  await expect(one.sign(point(11))).rejects.toMatchObject({ code: 'request-invalid' })
  nowMs += 1000
  await one.sign(point(11))
  nowMs += 60_000
  for (let n = 1; n < 256; n++) writeFileSync(join(path, anchorsFileOf(String(n).padStart(32, '0'))), '')
  await expect(one.sign({ ...point(1), journal: 'f'.repeat(32) })).rejects.toMatchObject({ code: 'anchor-refused' })
})

test('sign() tells of a journal that appears beside others, in syslog too, and takes no more than a few in a short time', async () => {
  const server = createSocket('udp4')
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  const heard: string[] = []
  server.on('message', (bytes) => heard.push(String(bytes).replace(/^.*? - (?=keepward)/, '')))
  const one = keeper({ kind: 'udp', address: '127.0.0.1', port: server.address().port })
  const other = (digit: string) => ({ ...point(999_999_999_999_999), journal: digit.repeat(32) })
  await one.sign(point(3))
  for (const digit of ['1', '2', '3']) await one.sign(other(digit))
  expect(newJournals).toEqual(['1111 1', '2222 2', '3333 3'])
  await expect(one.sign(other('4'))).rejects.toMatchObject({ code: 'request-invalid' })
  await one.sign(point(4))
  nowMs += 600_000
  await one.sign(other('5'))
  await one.sign({ ...other('5'), seq: 999_999_999_999_999, hash: 'a'.repeat(64) })
  expect(newJournals.slice(3)).toEqual(['5555 4'])
  await until('all were copied', () => heard.filter((text) => text.startsWith('keepward-new-journal')).length === 4)
  server.close()
  expect(heard).toContain(`keepward-new-journal 1 host1 ${'1'.repeat(32)} beside 1`)
})

test('readOthers() finds the other journals of an agent, as far as root has signed them', async () => {
  const one = keeper()
  await one.sign(point(3))
  await one.sign({ ...point(7), journal: '1'.repeat(32) })
  appendFileSync(join(path, anchorsFileOf('1'.repeat(32))), 'keepward-anchor 1 host1 none\n')
  const found = {
    journal: '1'.repeat(32),
    file: join(path, anchorsFileOf('1'.repeat(32))),
    seq: 7,
    wallMs: 1_795_256_200_000,
  }
  expect(await readOthers(file(), 'host1')).toEqual([found])
  expect(await readOthers(file(), undefined)).toEqual([found])
  expect(await readOthers(file(), 'host2')).toEqual([])
})

test.each<[what: string, change: (text: string) => string, fault: string]>([
  ['a sequence', (text) => text.replace(' 1 4 ', ' 1 5 '), 'line 2 of FILE is not signed by a key of anchor.pub'],
  ['a time', (text) => text.replace('T', 'T'.toLowerCase()), 'line 1 of FILE is no anchor'],
  ['an agent', (text) => text.replace('host1', 'host2'), 'line 1 of FILE is not signed by a key of anchor.pub'],
  [
    'a key',
    (text) => text.replace(/[0-9a-f]{16}(?= \S+\n)/, '0'.repeat(16)),
    'line 1 of FILE is not signed by a key of anchor.pub',
  ],
  [
    'an order',
    (text) => text.split('\n').slice(0, 2).reverse().join('\n') + '\n',
    'line 2 of FILE does not follow that of record 4',
  ],
])('readAnchors() finds %s that was changed', async (_what, change, fault) => {
  const one = keeper()
  await one.sign(point(3))
  await one.sign(point(4))
  writeFileSync(file(), change(readFileSync(file(), 'utf8')))
  expect((await readAnchors(file(), journal)).fault).toBe(fault.replace('FILE', file()))
})

test('readAnchors() finds none where there is no file', async () => {
  expect(await readAnchors(join(home, 'nowhere', 'x.anchors'), journal)).toEqual({ anchors: [], fault: undefined })
})

test('each anchor is copied as a message of RFC 5424', async () => {
  const server = createSocket('udp4')
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  const heard = once(server, 'message')
  await keeper({ kind: 'udp', address: '127.0.0.1', port: server.address().port }).sign(point(3))
  const text = String((await heard)[0])
  server.close()
  expect(text).toMatch(
    /^<86>1 2026-11-21T10:16:40\.000Z [!-~]+ keepward [0-9]+ anchor - keepward-anchor 1 host1 b{32} 1 3 a{64} /,
  )
  expect(text).toContain(readFileSync(file(), 'utf8').trim())
})

test('an anchor is there although nobody takes its copy, which is said once', async () => {
  const one = keeper({ kind: 'socket', path: join(home, 'no-log') })
  const trouble = expect.stringContaining('ENOENT') as string
  expect(await one.sign(point(3))).toEqual(trouble)
  expect(await one.sign(point(4))).toEqual(trouble)
  expect(troubles).toEqual([trouble])
  expect((await readAnchors(file(), journal)).anchors).toHaveLength(2)
})

test('syslogText() lets no host name break the form', () => {
  expect(syslogText('a b\nc', 0, 'm')).toMatch(/^<86>1 1970-01-01T00:00:00\.000Z a-b-c keepward [0-9]+ anchor - m$/)
})

test('thin() keeps the newest 20,000 and of older ones the last of each hour and start', () => {
  const all = Array.from({ length: 44_000 }, (_, n) => ({ n, wallMs: n * 5000, start: n < 1000 ? 1 : 2 }))
  const kept = thin(all)
  const old = kept.filter(({ n }) => n < 24_000)
  expect(kept.length - old.length).toBe(20_000)
  expect(old.slice(0, 4).map(({ n }) => n)).toEqual([719, 999, 1439, 2159])
  expect(old.length).toBe(34)
})
