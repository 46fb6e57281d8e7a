import { DatabaseSync } from 'node:sqlite'
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { testJournal, transition, type TestJournal } from '../../test/support/journal.ts'
import type { Mark } from './proof.ts'
import { proveFile, recordsOf } from './prove-file.ts'
import { canonicalJson, recordHash, type JsonObject, type JsonValue } from './record.ts'

interface Noted {
  readonly bytes: Buffer
  readonly marks: readonly Mark[]
}

const wallMs = Date.parse('2026-11-21T10:00:00Z')

/** Ten records; 4 and 8 were noted elsewhere. */
async function written(): Promise<TestJournal & { readonly marks: readonly Mark[] }> {
  const { bytes, marks } = (template ??= await writeTemplate())
  const home = testJournal()
  writeFileSync(home.file, bytes)
  return { ...home, marks }
}

let template: Noted | undefined

async function writeTemplate(): Promise<Noted> {
  await using home = testJournal()
  const journal = await home.open()
  for (let n = 0; n < 10; n++) await journal.append(transition(n % 2 === 0 ? 'even' : 'odd', { n })).durable
  const marks = (await journal.read({ limit: 10 }))
    .filter(({ seq }) => seq === 4 || seq === 8)
    .map(({ seq, hash }) => ({ seq, hash, wallMs }))
  await journal.close(1000)
  return { bytes: readFileSync(home.file), marks }
}

/** Do as one who owns the file: change the records as they are, then make chain, columns and heads anew, so that all fits. */
function forge(file: string, change: (records: JsonObject[]) => JsonObject[]): void {
  const records = change(
    [...recordsOf(file)].map((one) => without(JSON.parse(JSON.stringify(one)) as JsonObject, 'hash')),
  )
  const db = new DatabaseSync(file)
  db.exec('DELETE FROM records; DELETE FROM routers')
  const counts = new Map<string, number>()
  let previous = typeof records[0]?.['previous'] === 'string' ? records[0]['previous'] : ''
  const firstSeq = Number(records[0]?.['seq'])
  for (const [index, one] of records.entries()) {
    const router = textOf(one['router'])
    const known = counts.get(router)
    const routerSeq = known === undefined ? Number(one['routerSeq']) : known + 1
    counts.set(router, routerSeq)
    const hasRouter = typeof one['router'] === 'string'
    const record = canonicalJson({ ...one, seq: firstSeq + index, previous, ...(hasRouter ? { routerSeq } : {}) })
    const hash = recordHash(record)
    const at = one['at'] as { wallMs: number }
    db.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)').run(
      firstSeq + index,
      hasRouter ? router : null,
      textOf(one['kind']),
      at.wallMs,
      hash,
      record,
    )
    if (hasRouter) db.prepare('INSERT OR REPLACE INTO routers VALUES (?, ?, ?, ?)').run(router, routerSeq, hash, record)
    previous = hash
  }
  db.close()
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
const without = (record: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)))
const swapped = ([a, b, c, d, ...rest]: JsonObject[]) => [a, c, b, d, ...rest].filter((one) => one !== undefined)
const edited = (seq: number) => (records: JsonObject[]) =>
  records.map((one) => (one['seq'] === seq ? { ...one, body: { n: 99 } } : one))

test('proveFile() says up to which record and time all is proven', async () => {
  await using home = await written()
  expect(proveFile(home.file, home.marks)).toEqual({
    ok: true,
    journal: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    records: 10,
    fromSeq: 1,
    toSeq: 10,
    proven: { seq: 8, wallMs },
    broken: undefined,
  })
})

test('proveFile() proves nothing without marks', async () => {
  await using home = await written()
  expect(proveFile(home.file, [])).toMatchObject({ ok: true, proven: undefined })
})

const was = 'was changed, removed, inserted or moved, and the chain made anew'
const notSigned = 'it is not the one that was signed at 2026-11-21T10:00:00.000Z'

test.each<
  [what: string, change: (records: JsonObject[]) => JsonObject[], seq: number, reason: string, proven?: number]
>([
  ['a record changed', edited(6), 8, `${notSigned}: one of 5 to 8 ${was}`, 4],
  ['the noted record itself changed', edited(4), 4, `${notSigned}: one up to it ${was}`],
  ['the first record changed', edited(1), 4, `${notSigned}: one up to it ${was}`],
  ['a record removed', (all) => all.toSpliced(5, 1), 8, `${notSigned}: one of 5 to 8 ${was}`, 4],
  ['a record inserted', (all) => all.toSpliced(5, 0, all[5] ?? {}), 8, `${notSigned}: one of 5 to 8 ${was}`, 4],
  ['two records swapped', swapped, 4, `${notSigned}: one up to it ${was}`],
  [
    'the tail cut off',
    (all) => all.slice(0, 6),
    7,
    'it and all up to record 8, signed at 2026-11-21T10:00:00.000Z, were cut off',
    4,
  ],
  [
    'the tail cut off and other records in its place',
    (all) => [...all.slice(0, 6), ...all.slice(0, 6)],
    8,
    `${notSigned}: one of 5 to 8 ${was}`,
    4,
  ],
  [
    'the beginning removed',
    (all) => all.slice(5),
    5,
    'it and all before it are missing, and the newest retention record says that it begins at 1',
    8,
  ],
])('proveFile() finds %s although the chain was made anew', async (_what, change, seq, reason, proven) => {
  await using home = await written()
  forge(home.file, change)
  const proof = proveFile(home.file, home.marks)
  expect(proof.broken).toEqual({ ok: false, brokenAtSeq: seq, reason })
  expect(proof).toMatchObject({ ok: false, proven: proven === undefined ? undefined : { seq: proven, wallMs } })
})

test('without marks the same would not be found', async () => {
  await using home = await written()
  forge(home.file, edited(6))
  expect(proveFile(home.file, [])).toMatchObject({ ok: true, records: 10 })
})

test('proveFile() names the record of a change that was not covered up', async () => {
  await using home = await written()
  const db = new DatabaseSync(home.file)
  db.exec(`UPDATE records SET record = replace(record, '"n":6', '"n":5') WHERE seq = 7`)
  db.close()
  expect(proveFile(home.file, home.marks)).toMatchObject({
    ok: false,
    proven: { seq: 4 },
    broken: { brokenAtSeq: 7, reason: 'its text does not have the hash that is stored with it' },
  })
})

test('proveFile() leaves changes after the last mark to the chain', async () => {
  await using home = await written()
  forge(home.file, edited(9))
  expect(proveFile(home.file, home.marks)).toMatchObject({ ok: true, proven: { seq: 8 } })
})

/** A beginning that is gone, with a retention record at the end that says so, and the file's own table with it. */
function withRetention(file: string): void {
  const point = { seq: 0, hash: '' }
  forge(file, (all) => {
    const left = all.slice(5)
    Object.assign(point, { seq: Number(left[0]?.['seq']) - 1, hash: left[0]?.['previous'] })
    const rest = without(left.at(-1) ?? {}, 'router', 'routerSeq')
    const body = { throughSeq: point.seq, throughHash: point.hash }
    return [...left, { ...rest, kind: 'retention', body }]
  })
  const db = new DatabaseSync(file)
  db.prepare('UPDATE meta SET anchor_seq = ?, anchor_hash = ?').run(point.seq, point.hash)
  db.close()
}

test('proveFile() finds a beginning that was removed with a retention record that nobody signed', async () => {
  await using home = await written()
  withRetention(home.file)
  expect(proveFile(home.file, home.marks).broken).toEqual({
    ok: false,
    brokenAtSeq: 5,
    reason:
      'it and all before it are missing, and the retention record 11 that says so was not signed, the last that was is 8',
  })
})

test('proveFile() proves what retention has left, once its record is signed', async () => {
  await using home = await written()
  withRetention(home.file)
  const last = [...recordsOf(home.file)].at(-1)
  expect(proveFile(home.file, [...home.marks, { seq: 11, hash: last?.hash ?? '', wallMs }])).toMatchObject({
    ok: true,
    records: 6,
    fromSeq: 6,
    proven: { seq: 11 },
  })
})
