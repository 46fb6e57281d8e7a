import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { testJournal, transition } from '../../test/support/journal.ts'
import { verifyFile } from './verify.ts'

/** Appends in bursts for ever and prints the last seq of each burst once it is durable. */
const child = (directory: string, name: string) => `
  import { openJournal } from ${JSON.stringify(new URL('./journal.ts', import.meta.url).href)}
  import { SafeDir } from ${JSON.stringify(new URL('../linux/safe-dir.ts', import.meta.url).href)}
  import { systemClock as clock } from ${JSON.stringify(new URL('../base/instant.ts', import.meta.url).href)}
  const retain = { days: 1, sizeBytes: 300_000 }
  const dir = SafeDir.open(${JSON.stringify(directory)})
  const journal = await openJournal({ dir, name: ${JSON.stringify(name)}, agent: 'a', boot: 'b', clock, retain })
  for (let n = 0; ; n++) {
    const burst = Array.from({ length: 1 + (n % 40) }, (_, m) =>
      journal.append({ kind: 'transition', router: 'r' + (m % 5), at: clock(), body: { n } }).durable)
    process.stdout.write((await Promise.all(burst)).at(-1).seq + '\\n')
  }`

test('openJournal() finds all that was acknowledged after kill -9 in the middle of appends, and a whole chain', async () => {
  await using home = testJournal()
  for (const [round, acknowledgements] of [30, 90, 150].entries()) {
    const process_ = spawn(
      process.execPath,
      ['--input-type=module', '--eval', child(home.place.dir.path, home.place.name)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const exited = new Promise((resolve) =>
      process_.once('exit', (_code, signal) => {
        resolve(signal)
      }),
    )
    let acknowledged = 0
    let lines = 0
    for await (const line of createInterface(process_.stdout)) {
      acknowledged = Number(line)
      if (++lines === acknowledgements) process_.kill('SIGKILL')
    }
    expect(await exited).toBe('SIGKILL')
    const verdict = verifyFile(home.file)
    expect(verdict).toMatchObject({ ok: true })
    if (verdict.ok) expect(verdict.toSeq).toBeGreaterThanOrEqual(acknowledged)
    const journal = await home.open()
    expect(journal.epoch.start).toBe(2 * round + 2)
    expect(journal.heads.size).toBe(5)
    await journal.append(transition('r1')).durable
    await journal.close(1000)
  }
}, 30_000)
