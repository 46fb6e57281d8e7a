import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { Disk } from '../support/disk.ts'
import { testJournal, transition } from '../support/journal.ts'
import { connectAs, natsProgram, NatsServer } from '../support/nats-server.ts'
import { natsSettings, reporterOf, storedEvents } from '../support/nats-sink.ts'
import { until } from '../support/until.ts'

const knowsSync =
  existsSync(natsProgram) && !/ v?2\.[0-9]\./.test(execFileSync(natsProgram, ['--version'], { encoding: 'utf8' }))

/** As in deploy/nats/: more than the disk has. */
const room = 'max_file_store: 4GB'
const held = 'holds reports up and loses none once it is started with room again'

test(`a disk that is full under nats-server ${held}`, () => fillUnder(room))

test.skipIf(!knowsSync)(
  `a disk that is full under nats-server with sync_interval: always (2.10 or newer) ${held}`,
  () => fillUnder(`${room}\nsync_interval: always`),
)

async function fillUnder(jetstream: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kwt-nats-disk-'))
  const disk = new Disk()
  try {
    disk.mount(join(directory, 'store'), '64M')
    await using server = await NatsServer.start('', { directory, jetstream })
    await using operator = await connectAs(server.url)
    await setUpNats(operator, { replicas: undefined })
    await using store = testJournal()
    const journal = await store.open({ maxPending: 100_000 })
    await using reporter = await reporterOf(journal, natsSettings([server.url]))
    for (let n = 0; n < 100; n++) journal.append(transition(`r${String(n % 10)}`))
    await until('the first are told', () => reporter.status.delivered === 100)
    disk.fill()
    for (let n = 0; n < 200; n++) journal.append(transition(`r${String(n % 10)}`))
    await until('it is held up', () => reporter.status.lastError !== undefined && reporter.status.delivered < 300)
    expect(reporter.status.refused.size).toBe(0)
    disk.free()
    // One that has met a full disk serves no stream again before it is started anew, and 2.9 does not end for SIGTERM.
    await server.stop('SIGKILL')
    await server.start()
    await until('all is told', () => reporter.status.delivered >= 300 && reporter.status.waiting === 0, 30_000)
    await using reader = await connectAs(server.url)
    const seqs = (await storedEvents(reader)).map(({ event }) => event.seq)
    expect([...new Set(seqs)].sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, at) => at + 1))
  } finally {
    disk.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}
