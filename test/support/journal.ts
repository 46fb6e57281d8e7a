import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/instant.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { openJournal, type Journal, type JournalOptions } from '../../src/journal/journal.ts'
import type { Entry, JsonObject } from '../../src/journal/record.ts'

/** A journal of its own directory for tests; disposing closes it and removes everything. */
export interface TestJournal extends AsyncDisposable {
  readonly file: string
  readonly place: { readonly dir: SafeDir; readonly name: string }
  open(options?: Partial<JournalOptions>): Promise<Journal>
}

export function testJournal(directory?: string): TestJournal {
  const home = directory ?? mkdtempSync(join(tmpdir(), 'keepward-journal-'))
  const place = { dir: SafeDir.open(home, { mode: 'any' }), name: 'journal.db' }
  const opened: Journal[] = []
  return {
    file: join(home, place.name),
    place,
    async open(options = {}) {
      const defaults = {
        ...place,
        agent: 'host1',
        boot: 'boot1',
        clock: systemClock,
        retain: { days: 30, sizeBytes: 64e6 },
      }
      const journal = await openJournal({ ...defaults, ...options })
      opened.push(journal)
      return journal
    },
    async [Symbol.asyncDispose]() {
      for (const journal of opened) await journal.close(2000)
      place.dir.close()
      if (directory === undefined) rmSync(home, { recursive: true })
    },
  }
}

export const transition = (router: string, body: JsonObject = { from: 'backup', to: 'primary' }): Entry => ({
  kind: 'transition',
  router,
  at: systemClock(),
  body,
})
