import fs, { renameSync, symlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, expect, test } from 'vitest'
import { testJournal, transition } from '../../test/support/journal.ts'
import { openForWriting } from './file.ts'

const { lstatSync, openSync } = fs

afterEach(() => {
  Object.assign(fs, { lstatSync, openSync })
  syncBuiltinESMExports()
})

test('openForWriting() refuses what SQLite opened through a link that was there for that moment alone', async () => {
  await using home = testJournal()
  await using theirs = testJournal()
  for (const one of [home, theirs]) {
    const journal = await one.open()
    await journal.append(transition('r1')).durable
    await journal.close(1000)
  }
  const away = `${home.file}.away`
  let step: 'before' | 'linked' | 'after' = 'before'
  const lstat = (path: string, options: object): unknown => {
    const stats: unknown = lstatSync(path, options)
    if (path.endsWith('/journal.db') && step === 'before') {
      step = 'linked'
      renameSync(home.file, away)
      symlinkSync(theirs.file, home.file)
    }
    return stats
  }
  const open = (path: string, flags: number, mode?: number): number => {
    if (path.endsWith('/journal.db') && step === 'linked') {
      step = 'after'
      renameSync(away, home.file)
    }
    return openSync(path, flags, mode)
  }
  Object.assign(fs, { lstatSync: lstat, openSync: open })
  syncBuiltinESMExports()
  expect(() => openForWriting(home.place, true)).toThrow(`${home.file} was replaced while it was opened`)
  expect(step).toBe('after')
})
