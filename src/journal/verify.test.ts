import { DatabaseSync } from 'node:sqlite'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { testJournal, transition, type TestJournal } from '../../test/support/journal.ts'
import { verifyFile } from './verify.ts'

/** Ten records of two routers, closed; written once, since starting a journal is what takes time. */
async function written(): Promise<TestJournal> {
  const home = testJournal()
  writeFileSync(home.file, (template ??= await writeTemplate()))
  return home
}

let template: Buffer | undefined

async function writeTemplate(): Promise<Buffer> {
  await using home = testJournal()
  const journal = await home.open()
  for (let n = 0; n < 10; n++) await journal.append(transition(n % 2 === 0 ? 'even' : 'odd', { n })).durable
  await journal.close(1000)
  return readFileSync(home.file)
}

function tamper(file: string, sql: string): void {
  const db = new DatabaseSync(file)
  db.exec(sql)
  db.close()
}

test('verifyFile() says what it has walked when all is well', async () => {
  await using home = await written()
  expect(verifyFile(home.file)).toEqual({
    ok: true,
    records: 10,
    fromSeq: 1,
    toSeq: 10,
    hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  })
})

test('verifyFile() leaves the mode of a file as it is', async () => {
  await using home = await written()
  chmodSync(home.file, 0o640)
  expect(verifyFile(home.file)).toMatchObject({ ok: true })
  expect((statSync(home.file).mode & 0o777).toString(8)).toBe('640')
})

test('verifyFile() accepts an empty journal', async () => {
  await using home = testJournal()
  await (await home.open()).close(1000)
  expect(verifyFile(home.file)).toEqual({ ok: true, records: 0, fromSeq: 1, toSeq: 0, hash: '0'.repeat(64) })
})

const swap = `UPDATE records SET seq = -1 WHERE seq = 4; UPDATE records SET seq = 4 WHERE seq = 5; UPDATE records SET seq = 5 WHERE seq = -1`

test.each<[what: string, sql: string, seq: number, reason: string]>([
  [
    'changed text',
    `UPDATE records SET record = replace(record, '"n":3', '"n":4') WHERE seq = 4`,
    4,
    'its text does not have the hash that is stored with it',
  ],
  [
    'a changed hash',
    `UPDATE records SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 4`,
    4,
    'its text does not have the hash that is stored with it',
  ],
  [
    'a removed record',
    'DELETE FROM records WHERE seq = 4',
    5,
    'it does not follow record 3: one in between was removed, inserted or changed',
  ],
  [
    'a stretch cut out',
    'DELETE FROM records WHERE seq BETWEEN 3 AND 8',
    9,
    'it does not follow record 2: one in between was removed, inserted or changed',
  ],
  [
    'a removed beginning',
    'DELETE FROM records WHERE seq <= 3',
    4,
    'it does not follow record 0: one in between was removed, inserted or changed',
  ],
  [
    'an inserted copy',
    'INSERT INTO records SELECT 11, router, kind, wall_ms, hash, record FROM records WHERE seq = 10',
    11,
    'it is stored as 11 but says that it is 10',
  ],
  ['two records in each other’s place', swap, 4, 'it is stored as 4 but says that it is 5'],
  [
    'a record given to another router',
    `UPDATE records SET router = 'other' WHERE seq = 4`,
    4,
    'the columns router, kind, wall_ms differ from its text',
  ],
  [
    'a record of another time',
    'UPDATE records SET wall_ms = wall_ms + 1 WHERE seq = 4',
    4,
    'the columns router, kind, wall_ms differ from its text',
  ],
  [
    'a record of another kind',
    `UPDATE records SET kind = 'agent' WHERE seq = 4`,
    4,
    'the columns router, kind, wall_ms differ from its text',
  ],
  [
    'a journal id that is not the records’',
    `UPDATE meta SET journal = 'ff'`,
    1,
    expect.stringMatching(/^it belongs to journal [0-9a-f]{32}, not ff$/) as string,
  ],
  [
    'a beginning removed without a retention record',
    `DELETE FROM records WHERE seq <= 3; UPDATE meta SET anchor_seq = 3,
    anchor_hash = (SELECT json_extract(record, '$.previous') FROM records WHERE seq = 4)`,
    4,
    'the chain starts after record 3, but its newest retention record says after 0',
  ],
  [
    'an old head',
    `UPDATE routers SET (head_hash, head_record) = (SELECT hash, record FROM records WHERE seq = 1) WHERE router = 'even'`,
    1,
    'the head of router even is not its newest transition',
  ],
  [
    'a changed head',
    `UPDATE routers SET head_record = replace(head_record, '"n":8', '"n":6') WHERE router = 'even'`,
    9,
    'the head of router even does not have its hash',
  ],
  [
    'a changed count of a router',
    `UPDATE routers SET router_seq = 99 WHERE router = 'odd'`,
    10,
    'the head of router odd counts its records wrongly',
  ],
])('verifyFile() finds %s', async (_what, sql, brokenAtSeq, reason) => {
  await using home = await written()
  tamper(home.file, sql)
  expect(verifyFile(home.file)).toEqual({ ok: false, brokenAtSeq, reason })
})

test('verifyFile() says where a text is no record although its hash fits', async () => {
  await using home = await written()
  // sha256sum of "{}"
  tamper(
    home.file,
    `UPDATE records SET record = '{}', hash = '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' WHERE seq = 4`,
  )
  expect(verifyFile(home.file)).toEqual({ ok: false, brokenAtSeq: 4, reason: 'its text is not a record' })
})

test('verifyFile() refuses a file whose pages are damaged', async () => {
  await using home = await written()
  const bytes = readFileSync(home.file)
  writeFileSync(home.file, bytes.fill(0xa5, 4096))
  expect(() => verifyFile(home.file)).toThrow(`Cannot read journal ${home.file}: database disk image is malformed`)
})

test('verifyFile() refuses a file that is not there', () => {
  expect(() => verifyFile('/nonexistent/journal.db')).toThrow('There is no journal /nonexistent/journal.db')
})
