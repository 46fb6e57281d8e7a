import { mkdtempSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import pLimit from 'p-limit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostCapabilities } from '../../src/host/rights.ts'
import { boundedBy } from '../../src/lab/processes.ts'
import { buildShim, FaultHost, type Started } from '../support/faults/host.ts'
import { startRows, type Errno, type StartRow, type Who } from '../support/faults/rows.ts'
import { until } from '../support/until.ts'

let directory = ''
let shim = ''
beforeAll(() => {
  directory = mkdtempSync('/tmp/kwfs-')
  shim = buildShim(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

const atOnce = pLimit(4)
const cases = startRows.flatMap((row) => row.who.flatMap((who) => row.errnos.map((errno) => ({ row, who, errno }))))
const lineOf = /^keepward: .+ \(.{10,}\) \[([a-z-]+)\]$/m

test.concurrent.each(cases)('$who starts while $row.call of $row.where fails with $errno', { timeout: 60_000 }, (one) =>
  atOnce(() => tryStart(one)),
)

async function tryStart({ row, who, errno }: { row: StartRow; who: Who; errno: Errno }): Promise<void> {
  const host = FaultHost.make(who === 'root agent' ? 'one' : 'two', shim)
  try {
    if (who === 'agent') await rootHalf(host)
    host.fail({ call: row.call, errno, on: row.on })
    const started = host.start(who === 'host' ? 'host' : 'agent')
    if (row.shown !== 'nothing' && 'code' in row.shown) {
      const status = await statusOf(started)
      expect([status, lineOf.exec(started.said())?.[1], started.said()]).toEqual([
        4,
        row.shown.code,
        expect.any(String),
      ])
      return
    }
    await until('the agent answers', () => host.status())
    if (row.shown === 'nothing') await until('nothing is shown', async () => (await host.conditions()).length === 0)
    else {
      const { condition } = row.shown
      await until(condition, async () => (await host.conditions()).includes(condition))
      host.fail()
      await until('it is over', async () => (await host.conditions()).length === 0)
    }
  } finally {
    await host.end()
  }
}

/** How it ended; one that does not is seen as that, so that the test can remove it. */
const statusOf = ({ ended }: Started): Promise<number | string | undefined> =>
  Promise.race([ended, pause(20_000, 'it runs on', { ref: false })])

async function rootHalf(host: FaultHost): Promise<void> {
  const { said } = host.start('host')
  await until('the root half is ready', () => said().includes('root half ready'))
}

// The same by faults that are real.

test.concurrent('a root half without a capability that it needs says which', async () => {
  const host = FaultHost.make('two', shim)
  try {
    const started = host.start('host', boundedBy(hostCapabilities.filter((one) => one !== 'CAP_NET_ADMIN')))
    expect(await statusOf(started)).toBe(4)
    expect(started.said()).toContain('keepward-host needs CAP_NET_ADMIN and has not')
    expect(lineOf.exec(started.said())?.[1]).toBe('permission-denied')
  } finally {
    await host.end()
  }
})

test.concurrent.each([
  { what: 'full', options: 'size=16k', code: 'journal-failed', hint: 'free space' },
  { what: 'read-only', options: 'ro', code: 'file-failed', hint: 'read-only' },
])('a state directory on a file system that is $what', async ({ options, code, hint }) => {
  const host = FaultHost.make('one', shim)
  try {
    host.mount('state', '-t', 'tmpfs', '-o', `${options},mode=0700`, 'tmpfs')
    const started = host.start('agent')
    expect([await statusOf(started), lineOf.exec(started.said())?.[1]]).toEqual([4, code])
    expect(started.said()).toContain(hint)
  } finally {
    await host.end()
  }
})

test.concurrent.each(['agent', 'host'] as const)(
  'an exception that nobody catches ends the %s with words',
  async (command) => {
    const host = FaultHost.make(command === 'agent' ? 'one' : 'two', shim)
    try {
      const thrower = 'setTimeout(() => { Promise.reject(new TypeError("nobody foresaw it")) }, 1500)'
      const started = host.start(command, undefined, `--import=data:text/javascript,${encodeURIComponent(thrower)}`)
      expect(await statusOf(started)).toBe(4)
      expect(started.said()).toContain('keepward: nobody foresaw it (report it')
      expect(lineOf.exec(started.said())?.[1]).toBe('internal')
    } finally {
      await host.end()
    }
  },
)

test.concurrent('a process that may hold few descriptors says so', async () => {
  const host = FaultHost.make('one', shim)
  try {
    const started = host.start('agent', ['prlimit', '--nofile=24'])
    expect([await statusOf(started), lineOf.exec(started.said())?.[1]]).toEqual([4, 'resources-exhausted'])
  } finally {
    await host.end()
  }
})
