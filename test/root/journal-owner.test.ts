import { chmodSync, chownSync, lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyFile } from '../../src/journal/verify.ts'
import { testJournal, transition } from '../support/journal.ts'

const nobody = 65_534
const name = 'journal.db'
let theirs = ''

/** What an agent leaves that runs as a user of its own. */
async function leaveJournal(directory: string): Promise<void> {
  await using home = testJournal(directory)
  const journal = await home.open()
  for (let n = 0; n < 3; n++) await journal.append(transition('r1')).durable
}

beforeEach(() => {
  theirs = mkdtempSync(join(tmpdir(), 'kwt-owner-'))
})

afterEach(() => {
  rmSync(theirs, { recursive: true, force: true })
})

function giveAway(): void {
  for (const path of [...readdirSync(theirs).map((file) => join(theirs, file)), theirs]) chownSync(path, nobody, nobody)
  chmodSync(theirs, 0o700)
}

test('root reads the journal of an agent that has its own user, as that user', async () => {
  await leaveJournal(theirs)
  giveAway()
  expect(verifyFile(join(theirs, name))).toMatchObject({ ok: true, records: 3 })
  expect([process.geteuid?.(), process.getegid?.(), process.getgroups?.()]).toEqual([0, 0, [0]])
  const left = readdirSync(theirs).map((file) => lstatSync(join(theirs, file)).uid)
  expect(left.filter((uid) => uid !== nobody)).toEqual([])
})

test('root is not led by another user to a file that this user may not read', async () => {
  const ours = mkdtempSync(join(tmpdir(), 'kwt-owner-'))
  try {
    await leaveJournal(ours)
    symlinkSync(join(ours, name), join(theirs, name))
    giveAway()
    expect(() => verifyFile(join(theirs, name))).toThrow(/journal\.db/)
    expect(process.geteuid?.()).toBe(0)
  } finally {
    rmSync(ours, { recursive: true, force: true })
  }
})
