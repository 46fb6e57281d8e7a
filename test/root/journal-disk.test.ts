import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import type { Journal } from '../../src/journal/journal.ts'
import type { JournalRecord } from '../../src/journal/record.ts'
import { verifyFile } from '../../src/journal/verify.ts'
import { testJournal, transition, type TestJournal } from '../support/journal.ts'
import { until } from '../support/until.ts'

const stallMs = Number(process.env['KEEPWARD_TEST_STALL_MS'] ?? 2000)

const run = (command: string, ...args: string[]) => execFileSync(command, args, { timeout: 10_000, stdio: 'pipe' })

/** A file system of its own that unmounts when disposed. */
function disk(mount: (at: string, image: string) => void): Disposable & { at: string } {
  const home = mkdtempSync(join(tmpdir(), `kwt-${process.pid}-`))
  const at = join(home, 'mnt')
  mkdirSync(at)
  mount(at, join(home, 'image'))
  return {
    at,
    [Symbol.dispose]() {
      run('umount', '-l', at)
      rmSync(home, { recursive: true })
    },
  }
}

const tmpfs = (size: string) =>
  disk((at) => {
    run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'kwt', at)
  })

/**
 * The image is written in requests of one block, and that is a page of the image's file: the loop driver takes a request that
 * found room for its first half only for a success. All metadata has its blocks from the start, so what fails is data.
 */
const ext4 = (where?: string) =>
  disk((at, home) => {
    const image = where ?? home
    run('truncate', '-s', '32M', image)
    run('mkfs.ext4', '-q', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
    run('cp', '--sparse=never', image, `${image}.whole`)
    run('mv', `${image}.whole`, image)
    const device = run('losetup', '--find', '--show', image).toString().trim()
    try {
      writeFileSync(`/sys/block/${basename(device)}/queue/max_sectors_kb`, '4')
      run('mount', device, at)
      run('fstrim', at)
    } finally {
      // Only once nothing has it mounted.
      run('losetup', '--detach', device)
    }
  })

function fill(ballast: string): void {
  for (let size = 2 ** 20; size >= 512;) {
    try {
      writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' })
    } catch {
      size /= 2
    }
  }
}

/** Append until `stop`, a transition of each of 20 routers every 5 ms, and note what is acknowledged. */
function appending(journal: Journal): { acknowledged: JournalRecord[]; stop: () => void } {
  const acknowledged: JournalRecord[] = []
  let n = 0
  const timer = setInterval(() => {
    journal.append(transition(`r${n++ % 20}`)).durable.then(
      (record) => acknowledged.push(record),
      () => undefined,
    )
  }, 5)
  return {
    acknowledged,
    stop: () => {
      clearInterval(timer)
    },
  }
}

test('append() waits out a full disk: nothing acknowledged is lost, the order holds, it recovers by itself', async () => {
  using small = tmpfs('2m')
  await using home = testJournal(small.at)
  const journal = await home.open()
  const load = appending(journal)
  await until('50 records are acknowledged', () => load.acknowledged.length > 50)
  const ballast = join(small.at, 'ballast')
  try {
    fill(ballast)
    await until('the journal is unavailable', () => journal.status.kind === 'unavailable', 20_000)
    expect(journal.status).toMatchObject({ reason: `Cannot write journal ${home.file}: database or disk is full` })
    const waiting = journal.append(transition('r1'))
    await until('50 records wait', () => journal.status.pending > 50)
    rmSync(ballast)
    await until('the journal is well', () => journal.status.kind === 'ok')
    expect((await waiting.durable).late).toBe(true)
  } finally {
    load.stop()
  }
  await until('nothing waits', () => journal.status.pending === 0)
  expect(journal.status.lost).toBe(0)
  const seqs = load.acknowledged.map(({ seq }) => seq)
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
  expect(await journal.verify()).toMatchObject({
    ok: true,
    records: journal.status.durableSeq,
    toSeq: journal.status.durableSeq,
  })
})

test('openJournal() on a full disk reads what is there, and writes what it is told once there is room', async () => {
  using small = tmpfs('2m')
  await using home = testJournal(small.at)
  const before = await home.open()
  const { seq } = await before.append(transition('r1')).durable
  await before.close(1000)
  const ballast = join(small.at, 'ballast')
  fill(ballast)
  const journal = await home.open()
  expect(journal.heads.get('r1')?.seq).toBe(seq)
  const waiting = journal.append(transition('r1'))
  await until('the journal is unavailable', () => journal.status.kind === 'unavailable')
  rmSync(ballast)
  expect(await waiting.durable).toMatchObject({ seq: seq + 1, epoch: { start: 2 } })
  expect(await journal.verify()).toMatchObject({ ok: true, records: 2 })
})

test(
  `append() waits out a file system that stalls for ${stallMs} ms: never blocks, marks what is late, loses nothing`,
  async () => {
    using volume = ext4()
    await using home = testJournal(volume.at)
    const journal = await home.open()
    const load = appending(journal)
    let stalledSeq = 0
    let longestTurnMs = 0
    let lastTurnMs = performance.now()
    const watch = setInterval(() => {
      longestTurnMs = Math.max(longestTurnMs, performance.now() - lastTurnMs)
      lastTurnMs = performance.now()
    }, 5)
    try {
      await until('50 records are acknowledged', () => load.acknowledged.length > 50)
      await until('the journal is well', () => journal.status.kind === 'ok')
      run('fsfreeze', '-f', volume.at)
      const frozenMs = performance.now()
      lastTurnMs = frozenMs
      longestTurnMs = 0
      const stalled = journal.append(transition('r1'))
      try {
        await until('the journal is unavailable', () => journal.status.kind === 'unavailable', 1000)
        expect(journal.status).toMatchObject({ reason: 'the disk has not taken a record within 100 ms' })
        await until('the stall has lasted', () => performance.now() - frozenMs >= stallMs, stallMs * 2)
        expect(longestTurnMs).toBeLessThan(100)
      } finally {
        run('fsfreeze', '-u', volume.at)
      }
      expect((await stalled.durable).late).toBe(true)
      stalledSeq = stalled.seq
      await until('the journal is well', () => journal.status.kind === 'ok')
    } finally {
      load.stop()
      clearInterval(watch)
    }
    await until('nothing waits', () => journal.status.pending === 0)
    const stored = await journal.read({ after: load.acknowledged[0]?.seq ?? 0, limit: 1000 })
    const rest = stored.filter(({ seq }) => seq !== stalledSeq)
    expect(rest.length).toBeGreaterThan(stallMs / 20)
    expect(rest).toEqual(load.acknowledged.slice(1, 1 + rest.length))
    expect(await journal.verify()).toMatchObject({ ok: true, records: journal.status.durableSeq })
  },
  stallMs * 4 + 20_000,
)

/** What a power cut now would leave: without what the page cache still keeps to itself. */
function afterPowerCut(image: string): TestJournal {
  using after = disk((at, copy) => {
    run('cp', image, copy)
    run('mount', '-o', 'loop', copy, at)
  })
  const rescued = testJournal()
  for (const name of readdirSync(after.at)) {
    if (name.startsWith('journal.db')) run('cp', join(after.at, name), join(dirname(rescued.file), name))
  }
  return rescued
}

test.each([0, 30, 300])(
  'append() waits out a disk that reports errors (EIO) for %i ms, and what it acknowledges survives a power cut',
  async (errorMs) => {
    using backing = tmpfs('72m')
    const image = join(backing.at, 'image')
    using volume = ext4(image)
    await using home = testJournal(volume.at)
    const journal = await home.open()
    const load = appending(journal)
    try {
      await until('20 records are acknowledged', () => load.acknowledged.length > 20)
      const ballast = join(backing.at, 'ballast')
      fill(ballast)
      const failed = `Cannot write journal ${home.file}: disk I/O error`
      await until(
        'the disk reports errors',
        () => journal.status.kind === 'unavailable' && journal.status.reason === failed,
        20_000,
      )
      await new Promise((resolve) => setTimeout(resolve, errorMs))
      const { length } = load.acknowledged
      await using rescued = afterPowerCut(image)
      expect(verifyFile(rescued.file)).toMatchObject({ ok: true })
      const kept = await (await rescued.open()).read({ limit: 1000 })
      expect(kept.length).toBeGreaterThanOrEqual(length)
      rmSync(ballast)
      await until('the journal is well', () => journal.status.kind === 'ok')
      await until('20 more are acknowledged', () => load.acknowledged.length > length + 20)
    } finally {
      load.stop()
    }
    await until('nothing waits', () => journal.status.pending === 0)
    expect(await journal.verify()).toMatchObject({ ok: true, records: load.acknowledged.length })
    await using rescued = afterPowerCut(image)
    expect(verifyFile(rescued.file)).toMatchObject({ ok: true, records: load.acknowledged.length })
  },
)

test('append() keeps the last state of every router when more waits than memory may hold', async () => {
  using volume = ext4()
  await using home = testJournal(volume.at)
  const journal = await home.open({ maxPending: 200 })
  await journal.append(transition('r0')).durable
  run('fsfreeze', '-f', volume.at)
  try {
    for (let n = 0; n < 5000; n++) {
      journal.append(transition(`r${n % 20}`, { n }))
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(journal.status.pending).toBeLessThanOrEqual(201)
  } finally {
    run('fsfreeze', '-u', volume.at)
  }
  await until('nothing waits', () => journal.status.pending === 0)
  const stored = await journal.read({ limit: 1000 })
  const gaps = stored.filter(({ kind }) => kind === 'gap')
  expect(gaps.reduce((sum, { body }) => sum + Number(body['lost']), 0)).toBe(journal.status.lost)
  expect(stored.length - gaps.length + journal.status.lost).toBe(5001)
  const last = new Map(stored.map((record) => [record.router, record.body['n']]))
  for (let router = 0; router < 20; router++) expect(last.get(`r${router}`)).toBe(4980 + router)
  expect(await journal.verify()).toMatchObject({ ok: true })
})

test('close() returns at its deadline while the file system stalls', async () => {
  using volume = ext4()
  await using home = testJournal(volume.at)
  const journal = await home.open()
  await journal.append(transition('r1')).durable
  run('fsfreeze', '-f', volume.at)
  try {
    const refused = expect(journal.append(transition('r1')).durable).rejects.toMatchObject({ code: 'journal-failed' })
    const startedMs = performance.now()
    await journal.close(300)
    expect(performance.now() - startedMs).toBeLessThan(600)
    await refused
  } finally {
    run('fsfreeze', '-u', volume.at)
  }
})
