import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/instant.ts'
import { openJournal, type Journal, type JournalOptions } from '../../src/journal/journal.ts'
import type { Entry, JsonObject } from '../../src/journal/record.ts'

/** A journal of its own directory for tests; disposing closes it and removes everything. */
export interface TestJournal extends AsyncDisposable {
  readonly file: string
  open(options?: Partial<JournalOptions>): Promise<Journal>
}

export function testJournal(directory?: string): TestJournal {
  const home = directory ?? mkdtempSync(join(tmpdir(), 'keepward-journal-'))
  const file = join(home, 'journal.db')
  const opened: Journal[] = []
  return {
    file,
    async open(options = {}) {
      const defaults = {
        file,
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
