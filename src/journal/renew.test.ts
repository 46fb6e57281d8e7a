import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { expect, test } from 'vitest'
import { openForWriting } from './file.ts'
import { copyJournal, copyOf, makeCopy, openAlone } from './renew.ts'
import { testJournal, transition } from '../../test/support/journal.ts'
import { verifyFile } from './verify.ts'

/** A journal of three records, the last of them in the log only. */
async function journalWithLog(home: ReturnType<typeof testJournal>) {
  const journal = await home.open()
  for (let n = 0; n < 3; n++) await journal.append(transition('r1')).durable
  await journal.close(1000)
  const db = openForWriting(home.place, true)
  db.exec('UPDATE meta SET starts = starts + 1')
  return db
}

test('a copy is the journal from its rename on: whatever was left behind, opening adopts it', async () => {
  await using home = testJournal()
  const db = await journalWithLog(home)
  copyJournal(db, home.place)
  // The old file goes on changing behind the copy's back, as that of a process that is about to die.
  db.exec('DELETE FROM records')
  db.close()
  writeFileSync(`${home.file}-wal`, 'a log of the old file')
  expect(verifyFile(home.file)).toMatchObject({ ok: true, records: 3 })
  const journal = await home.open()
  expect(journal.epoch.start).toBe(3)
  expect(await journal.verify()).toMatchObject({ ok: true, records: 3 })
  expect(existsSync(copyOf(home.file))).toBe(false)
  expect(statSync(home.file).mode & 0o777).toBe(0o600)
})

test('a copy that was not finished is removed, and the journal is what it was', async () => {
  await using home = testJournal()
  const db = await journalWithLog(home)
  copyJournal(db, home.place)
  db.close()
  renameSync(copyOf(home.file), `${home.file}.draft`)
  const journal = await home.open()
  expect(await journal.verify()).toMatchObject({ ok: true, records: 3 })
  expect(existsSync(`${home.file}.draft`)).toBe(false)
})

test('a draft that was replaced by a link while it was written changes nothing at its other end', async () => {
  await using home = testJournal()
  await using theirs = testJournal()
  await (await theirs.open()).close(1000)
  const before = readFileSync(theirs.file)
  const draft = `${home.file}.draft`
  const swap = (path: string) => {
    expect(statSync(path).ino).toBe(statSync(draft).ino)
    rmSync(draft)
    symlinkSync(theirs.file, draft)
  }
  expect(() => {
    makeCopy(home.place, swap)
  }).toThrow(draft)
  expect(readFileSync(theirs.file).equals(before)).toBe(true)
  expect(existsSync(copyOf(home.file))).toBe(false)
})

test('openAlone() closes again what it opened through a link that was there for that moment alone', async () => {
  await using home = testJournal()
  await using theirs = testJournal()
  for (const one of [home, theirs]) await (await one.open()).close(1000)
  const { dir, name } = home.place
  const find = dir.find.bind(dir)
  const away = `${home.file}.away`
  renameSync(home.file, away)
  symlinkSync(theirs.file, home.file)
  dir.find = (...asked) => {
    renameSync(away, home.file)
    return find(...asked)
  }
  expect(() => openAlone({ dir, name })).toThrow(`${home.file} was replaced while it was opened`)
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    const stats = statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false })
    return stats?.ino === statSync(theirs.file).ino
  })
  expect(open).toEqual([])
})
