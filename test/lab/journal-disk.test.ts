import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProbe } from '../../src/lab/probe.ts'
import { Disk } from '../support/disk.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const stallMs = Number(process.env['KEEPWARD_TEST_STALL_MS'] ?? 2000)
/** Three adverts of 200 ms and a skew; the rest is room for a busy machine. */
const failoverMs = 2500
const disks: Readonly<Record<string, Disk>> = { h1: new Disk(), h2: new Disk() }
let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('disk', {
    prepare: (lab) => {
      for (const { name, directory } of lab.hosts) disks[name]?.mount(join(directory, 'state'))
    },
  })
})
afterAll(async () => {
  for (const disk of Object.values(disks)) {
    disk.thaw()
    disk.free()
  }
  for (const disk of Object.values(disks)) disk.remove()
  await it.down()
})

test('routers fail over as fast, and the truth shows, while the disk of the journal is full; then all is recorded', async () => {
  const { primary, heir, disk, after } = await ready()
  disk.fill()
  let gapMs: number
  try {
    gapMs = await failover(primary, heir)
    await isUnavailable(heir, 'database or disk is full')
    await until('the record is late', async () => Date.now() - (await it.router(heir)).sinceMs > 200)
    expect((await it.router(heir)).recorded).toBe(false)
  } finally {
    disk.free()
  }
  expect(gapMs).toBeLessThan(failoverMs)
  await isRecordedLate(heir, after)
})

test(`routers fail over as fast, and the truth shows, while the file system of the journal stalls for ${String(stallMs)} ms`, async () => {
  const { primary, heir, disk, after } = await ready()
  disk.freeze()
  const frozenMs = Date.now()
  let gapMs: number
  try {
    gapMs = await failover(primary, heir)
    await isUnavailable(heir, '')
    expect((await it.router(heir)).recorded).toBe(false)
    await until('the stall has lasted', () => Date.now() - frozenMs >= stallMs, stallMs + 5000)
  } finally {
    disk.thaw()
  }
  expect(gapMs).toBeLessThan(failoverMs)
  await isRecordedLate(heir, after)
})

async function ready(): Promise<{ primary: string; heir: string; disk: Disk; after: number }> {
  const primary = await it.settled()
  const heir = it.other(primary)
  const disk = disks[heir]
  if (disk === undefined) throw new Error(`${heir} has no disk of its own`)
  return { primary, heir, disk, after: await it.lastSeq(heir) }
}

/** Kill keepalived of the primary; how long a client missed the address. */
async function failover(primary: string, heir: string): Promise<number> {
  const probe = startProbe(it.name, '198.51.100.1', { intervalMs: 20, maxSeconds: 30 })
  await probe.answering
  await it.lab.killKeepalived(primary, 'r1')
  await until(`${heir} shows that it is primary`, async () => (await it.router(heir)).role === 'primary')
  const again = startProbe(it.name, '198.51.100.1', { intervalMs: 20, maxSeconds: 30 })
  await again.answering
  await again.stop()
  return (await probe.stop()).longestGapMs
}

async function isUnavailable(host: string, reason: string): Promise<void> {
  const { conditions, journal, health } = await until('journal-unavailable is shown', async () => {
    const status = await it.status(host)
    return status.conditions.some(({ code }) => code === 'journal-unavailable') && status
  })
  expect(conditions.map(({ code }) => code)).toEqual(['journal-unavailable'])
  expect(journal.state).toBe('unavailable')
  expect(journal.reason).toContain(reason)
  expect(journal.pending).toBeGreaterThan(0)
  expect(health).toBe('critical')
}

/** It recovers by itself: the record is late, nothing is lost, the chain is whole. */
async function isRecordedLate(host: string, after: number): Promise<void> {
  await it.role(host, 'primary')
  await until('the journal is well again', async () => {
    const { journal, conditions } = await it.status(host)
    return journal.state === 'ok' && journal.pending === 0 && conditions.length === 0
  })
  const records = (await it.events(host, 'r1', after)).filter(({ kind }) => kind === 'transition')
  expect(records.map(({ body, late }) => [body['to'], late])).toEqual([['primary', true]])
  expect((await it.status(host)).journal.lost).toBe(0)
  expect(await it.verify(host)).toMatchObject({ ok: true })
  await it.settled()
}
