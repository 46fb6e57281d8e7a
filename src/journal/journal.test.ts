import { chmodSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import type { JournalStatus } from './journal.ts'
import { recordHash } from './record.ts'
import { readSql } from './select.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { until } from '../../test/support/until.ts'
import { verifyFile } from './verify.ts'

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) =>
      error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : String(error),
  )

test('append() numbers entries at once, for the agent and for each router', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const given = [transition('r1'), transition('r2'), transition('r1'), { ...transition('r1'), router: undefined }]
  const appended = given.map((entry) => journal.append(entry))
  expect(appended.map(({ seq, routerSeq }) => [seq, routerSeq])).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, undefined],
  ])
})

test('append() resolves durable with the record that read() gives back', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const at = { wallMs: 1763632800000, monoMs: 5e9 }
  const record = await journal.append({ kind: 'transition', router: 'r1', at, body: { to: 'primary', from: 'backup' } })
    .durable
  expect(record).toMatchObject({
    seq: 1,
    routerSeq: 1,
    agent: 'host1',
    boot: 'boot1',
    at,
    late: false,
    previous: '0'.repeat(64),
  })
  expect(record.epoch).toEqual({ journal: expect.stringMatching(/^[0-9a-f]{32}$/) as string, start: 1 })
  expect(await journal.read({ limit: 10 })).toEqual([record])
})

test('append() leaves in the file what the documented rule hashes', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const records = await Promise.all(['r1', 'r2', 'r1'].map((router) => journal.append(transition(router)).durable))
  await journal.close(1000)
  using db = new DatabaseSync(home.file, { readOnly: true })
  const rows = db.prepare('SELECT record, hash FROM records ORDER BY seq').all()
  expect(rows.map(({ record }) => recordHash(String(record)))).toEqual(records.map(({ hash }) => hash))
  expect(records.map(({ previous }) => previous)).toEqual(['0'.repeat(64), records[0]?.hash, records[1]?.hash])
})

test('append() marks a record that was late already', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const { at, ...rest } = transition('r1')
  const record = await journal.append({ ...rest, at: { ...at, monoMs: at.monoMs - 150 } }).durable
  expect(record.late).toBe(true)
  expect((await journal.read({ limit: 1 }))[0]?.late).toBe(true)
})

test('append() refuses a body that is too long and takes no number for it', async () => {
  await using home = testJournal()
  const journal = await home.open()
  expect(() => journal.append(transition('r1', { text: 'x'.repeat(20_000) }))).toThrow(
    'A transition entry has a body of 20011 characters, at most 16384 are allowed',
  )
  expect(journal.append(transition('r1'))).toMatchObject({ seq: 1, routerSeq: 1 })
})

test('read() selects by seq and router, either way round', async () => {
  await using home = testJournal()
  const journal = await home.open()
  await Promise.all(['r1', 'r2', 'r1', 'r2', 'r1'].map((router) => journal.append(transition(router)).durable))
  const seqs = async (query: Parameters<typeof journal.read>[0]) => (await journal.read(query)).map(({ seq }) => seq)
  expect(await seqs({ limit: 2 })).toEqual([1, 2])
  expect(await seqs({ limit: 2, newestFirst: true })).toEqual([5, 4])
  expect(await seqs({ limit: 9, after: 1, until: 4 })).toEqual([2, 3, 4])
  expect(await seqs({ limit: 9, router: 'r1' })).toEqual([1, 3, 5])
  expect(await seqs({ limit: 1, router: 'r2', newestFirst: true })).toEqual([4])
})

test('read() selects by kind, of all routers or one', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const claim = { ...transition('r1'), kind: 'claim', body: { state: 'primary' } } as const
  const entries = [
    transition('r1'),
    claim,
    { ...claim, router: undefined },
    transition('r1'),
    { ...claim, router: 'r2' },
  ]
  await Promise.all([...entries, claim, transition('r1')].map((entry) => journal.append(entry).durable))
  const seqs = async (query: Parameters<typeof journal.read>[0]) => (await journal.read(query)).map(({ seq }) => seq)
  expect(await seqs({ limit: 9, kind: 'claim' })).toEqual([2, 3, 5, 6])
  expect(await seqs({ limit: 9, kind: 'claim', router: 'r1' })).toEqual([2, 6])
  expect(await seqs({ limit: 1, kind: 'claim', router: 'r1', newestFirst: true })).toEqual([6])
  expect(await seqs({ limit: 9, kind: 'refusal' })).toEqual([])
  expect(await seqs({ limit: 9, kind: 'transition', router: 'r1', after: 1, until: 6 })).toEqual([4])
})

test('read() of a router finds what was said of it while it did not run here, newest first', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const said = (kind: 'claim' | 'refusal' | 'operation', router: string) =>
    ({ ...transition('r1'), router: undefined, kind, body: { router } }) as const
  const entries = [
    said('claim', 'r1'),
    transition('r1'),
    said('refusal', 'r1'),
    said('claim', 'r9'),
    said('operation', 'r1'),
  ]
  await Promise.all(entries.map((entry) => journal.append(entry).durable))
  const seqs = async (query: Parameters<typeof journal.read>[0]) => (await journal.read(query)).map(({ seq }) => seq)
  expect(await seqs({ limit: 9, router: 'r1', newestFirst: true })).toEqual([3, 2, 1])
  expect(await seqs({ limit: 9, router: 'r1' })).toEqual([2])
  expect(await seqs({ limit: 2, router: 'r1', newestFirst: true })).toEqual([3, 2])
  expect(await seqs({ limit: 9, router: 'r1', kind: 'claim', newestFirst: true })).toEqual([1])
  expect(await seqs({ limit: 9, router: null, kind: 'claim' })).toEqual([1, 4])
  expect(await seqs({ limit: 9, router: null })).toEqual([1, 3, 4, 5])
})

test('read() of the claims of a router walks over none of its other records', async () => {
  await using home = testJournal()
  await (await home.open()).close(1000)
  using db = new DatabaseSync(home.file, { readOnly: true })
  const plan = (query: Parameters<typeof readSql>[0]) =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${readSql(query)}`)
      .all()
      .map(({ detail }) => detail)
  const searches = (query: Parameters<typeof readSql>[0]) => plan(query).filter((step) => /records/.test(String(step)))
  const foreign = 'SEARCH records USING INDEX foreign_words (kind=? AND seq>? AND seq<?)'
  expect(searches({ router: 'r1', kind: 'claim', newestFirst: true })).toEqual([
    'SEARCH records USING INDEX claims_of_router (router=? AND seq>? AND seq<?)',
    foreign,
  ])
  expect(searches({ router: 'r1', kind: undefined, newestFirst: true })).toEqual([
    'SEARCH records USING INDEX records_of_router (router=? AND seq>? AND seq<?)',
    foreign,
    foreign,
  ])
  expect(searches({ router: 'r1', kind: undefined, newestFirst: false })).toEqual([
    'SEARCH records USING INDEX records_of_router (router=? AND seq>? AND seq<?)',
  ])
  expect(searches({ router: null, kind: 'claim', newestFirst: true })).toEqual([foreign])
})

test('openJournal() goes on where the last start ended: epoch, numbers, heads, chain', async () => {
  await using home = testJournal()
  const first = await home.open()
  await Promise.all(['r1', 'r2', 'r1'].map((router) => first.append(transition(router)).durable))
  const head = await first.append(transition('r1', { from: 'primary', to: 'fault' })).durable
  await first.append({ ...transition('r1'), kind: 'condition', body: { code: 'kernel-disagrees' } }).durable
  await first.close(1000)
  const second = await home.open()
  expect(second.epoch).toEqual({ journal: first.epoch.journal, start: 2 })
  expect([...second.heads.keys()]).toEqual(['r1', 'r2'])
  expect(second.heads.get('r1')).toEqual(head)
  expect(second.append(transition('r1'))).toMatchObject({ seq: 6, routerSeq: 5 })
  await until('the sixth record is durable', () => second.status.durableSeq === 6)
  expect(await second.verify()).toMatchObject({ ok: true, records: 6, fromSeq: 1, toSeq: 6 })
})

test('openJournal() makes files 0600 whatever the umask', async () => {
  await using home = testJournal()
  const before = process.umask(0)
  try {
    const journal = await home.open()
    await journal.append(transition('r1')).durable
    for (const suffix of ['', '-wal']) expect(statSync(home.file + suffix).mode & 0o777).toBe(0o600)
    await journal.close(1000)
    chmodSync(home.file, 0o644)
    await home.open()
    expect(statSync(home.file).mode & 0o777).toBe(0o600)
  } finally {
    process.umask(before)
  }
})

test('openJournal() refuses a file of a newer version, naming both, and leaves it alone', async () => {
  await using home = testJournal()
  await (await home.open()).close(1000)
  const db = new DatabaseSync(home.file)
  db.exec('PRAGMA user_version = 7')
  db.close()
  const before = readFileSync(home.file)
  expect(await codeOf(home.open())).toBe(
    `journal-too-new: Journal ${home.file} has schema version 7, this program knows versions up to 1`,
  )
  expect(readFileSync(home.file)).toEqual(before)
})

test('openJournal() refuses a file that is no journal and leaves it alone', async () => {
  await using home = testJournal()
  writeFileSync(home.file, 'not a database, but somebody needs it. '.repeat(100))
  expect(await codeOf(home.open())).toBe(`journal-failed: Cannot open journal ${home.file}: file is not a database`)
  expect(readFileSync(home.file, 'utf8')).toMatch(/^not a database/)
  rmSync(home.file)
  const db = new DatabaseSync(home.file)
  db.exec('CREATE TABLE other (x)')
  db.close()
  expect(await codeOf(home.open())).toBe(`journal-failed: ${home.file} is an SQLite file but no Keepward journal`)
})

test('openJournal() refuses a symbolic link', async () => {
  await using home = testJournal()
  symlinkSync('/dev/null', home.file)
  expect(await codeOf(home.open())).toBe(`file-unsafe: ${home.file} must be a regular file: it is a symlink`)
})

test('openJournal() refuses to append to a chain whose end is damaged', async () => {
  await using home = testJournal()
  const journal = await home.open()
  for (let n = 0; n < 3; n++) await journal.append(transition('r1')).durable
  await journal.close(1000)
  const db = new DatabaseSync(home.file)
  db.exec(`UPDATE records SET record = replace(record, 'primary', 'backup') WHERE seq = 2`)
  db.close()
  expect(await codeOf(home.open())).toBe(
    'journal-failed: record 2 is damaged: its text does not have the hash that is stored with it',
  )
})

test('openJournal() refuses a file that is open, and verifyFile() too', async () => {
  await using home = testJournal()
  const first = await home.open()
  expect(await codeOf(home.open())).toBe(`state-in-use: Cannot open journal ${home.file}: database is locked`)
  expect(() => verifyFile(home.file)).toThrow(`Cannot open journal ${home.file}: database is locked`)
  await first.append(transition('r1')).durable
  expect(await first.verify()).toMatchObject({ ok: true, records: 1 })
})

test('append() is not acknowledged into a file that was removed, and goes on when it is back', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const statuses: JournalStatus[] = []
  journal.onStatus((status) => statuses.push(status))
  await journal.append(transition('r1')).durable
  renameSync(home.file, `${home.file}.away`)
  const waiting = [journal.append(transition('r1')).durable, journal.append(transition('r2')).durable]
  await until('the journal is unavailable', () => journal.status.kind === 'unavailable')
  expect(journal.status).toMatchObject({
    pending: 2,
    durableSeq: 1,
    reason: `Journal ${home.file} or its -wal file was removed or replaced while in use`,
  })
  renameSync(`${home.file}.away`, home.file)
  expect((await Promise.all(waiting)).map(({ seq }) => seq)).toEqual([2, 3])
  await until('the journal is well', () => journal.status.kind === 'ok')
  expect(statuses.map(({ kind }) => kind)).toEqual(['unavailable', 'ok'])
  expect(await journal.verify()).toMatchObject({ ok: true, records: 3 })
})

test('append() finds its way back when the write-ahead log was removed: nothing acknowledged is lost', async () => {
  await using home = testJournal()
  const journal = await home.open()
  await journal.append(transition('r1')).durable
  rmSync(`${home.file}-wal`)
  expect((await journal.append(transition('r1')).durable).seq).toBe(2)
  await journal.close(1000)
  expect(verifyFile(home.file)).toMatchObject({ ok: true, records: 2 })
})

test('retention by size keeps file, chain, heads and a record of what was removed', async () => {
  await using home = testJournal()
  const sizeBytes = 400_000
  const journal = await home.open({ retain: { days: 30, sizeBytes } })
  await journal.append(transition('quiet')).durable
  for (let n = 0; n < 40; n++) {
    await Promise.all(Array.from({ length: 100 }, (_, m) => journal.append(transition(`r${m}`)).durable))
  }
  await until('the file has its size', () => journal.status.sizeBytes <= sizeBytes && journal.status.pending === 0)
  const verdict = await journal.verify()
  expect(verdict).toMatchObject({ ok: true, fromSeq: journal.status.retainedFromSeq, toSeq: journal.status.durableSeq })
  expect(journal.status.retainedFromSeq).toBeGreaterThan(1000)
  expect((await journal.read({ limit: 1 }))[0]?.seq).toBe(journal.status.retainedFromSeq)
  await journal.close(1000)
  expect(statSync(home.file).size).toBeLessThan(sizeBytes * 1.5)
  expect(verifyFile(home.file)).toEqual(verdict)
  const again = await home.open()
  expect(again.heads.get('quiet')?.seq).toBe(1)
  expect(again.append(transition('quiet'))).toMatchObject({ routerSeq: 2 })
})

test('retention by age removes what is older, but never the newest hundred', async () => {
  await using home = testJournal()
  const old = { wallMs: Date.now() - 3 * 86_400_000, monoMs: 1e12 }
  const journal = await home.open({ retain: { days: 2, sizeBytes: 64e6 } })
  await Promise.all(Array.from({ length: 300 }, () => journal.append({ ...transition('r1'), at: old }).durable))
  await until('the old records are removed', () => journal.status.retainedFromSeq > 200 && journal.status.pending === 0)
  const [last] = await journal.read({ limit: 1, newestFirst: true })
  expect(last).toMatchObject({ kind: 'retention', body: { throughSeq: journal.status.retainedFromSeq - 1 } })
  expect(await journal.verify()).toMatchObject({ ok: true, toSeq: journal.status.durableSeq })
  expect(journal.status.durableSeq - journal.status.retainedFromSeq).toBeGreaterThanOrEqual(99)
})

test('close() refuses what comes after and writes what came before', async () => {
  await using home = testJournal()
  const journal = await home.open()
  const durable = Promise.all(Array.from({ length: 2500 }, () => journal.append(transition('r1')).durable))
  const closed = journal.close(5000)
  expect(() => journal.append(transition('r1'))).toThrow('The journal is closed and takes no more entries')
  await closed
  expect((await durable).at(-1)?.seq).toBe(2500)
  expect(verifyFile(home.file)).toMatchObject({ ok: true, records: 2500 })
})
