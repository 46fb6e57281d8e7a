import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostCapabilities } from '../../src/host/rights.ts'
import { boundedBy } from '../../src/lab/processes.ts'
import { ownPrivileges, readPrivileges } from '../../src/linux/privileges.ts'
import { buildShim, FaultHost } from '../support/faults/host.ts'
import { until } from '../support/until.ts'

let directory = ''
let shim = ''
beforeAll(() => {
  directory = mkdtempSync('/tmp/kwrights-')
  shim = buildShim(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Start keepward-host with these words before it, and wait for its word. */
async function start(wrap: readonly string[], body: (pid: number, said: string) => void): Promise<void> {
  const host = FaultHost.make('two', shim)
  try {
    const { child, said, ended } = host.start('host', wrap)
    let status: unknown
    void ended.then((how) => {
      status = how
    })
    await until('it runs, or has ended', () => status !== undefined || said().includes('root half ready'))
    body(child.pid ?? 0, said())
  } finally {
    await host.end()
  }
}

/** What this machine gives to root at all. */
const given = hostCapabilities.filter((one) => ownPrivileges().capabilities.includes(one)).sort()

/** /proc/PID/status of each thread. */
const threadsOf = (pid: number): string[] =>
  readdirSync(`/proc/${String(pid)}/task`).map((one) => readFileSync(`/proc/${String(pid)}/task/${one}/status`, 'utf8'))
const boundOf = (status: string, set: string) => new RegExp(`^${set}:.*$`, 'm').exec(status)?.[0].slice(set.length)

test('keepward host that root starts by hand gives away all that it does not need, in every thread and for its children', async () => {
  await start(['env'], (pid, said) => {
    const threads = threadsOf(pid)
    expect(threads.length).toBeGreaterThan(1)
    for (const status of threads) {
      expect(readPrivileges(status).capabilities.toSorted()).toEqual(given)
      expect(boundOf(status, 'CapBnd')).toBe(boundOf(status, 'CapPrm'))
    }
    expect(said).not.toContain('more capabilities')
  })
})

test.each(['CAP_SYS_PTRACE', 'CAP_KILL', 'CAP_SETUID'])(
  'keepward host says that it cannot work without %s',
  async (name) => {
    const without = boundedBy(hostCapabilities.filter((one) => one !== name))
    await start(without, (_pid, said) => {
      expect(said).toContain(`keepward-host needs ${name} and has not`)
    })
  },
)

test('keepward host says what it has too much and may not give away, and what keepalived will miss', async () => {
  const kept = hostCapabilities.filter((one) => one !== 'CAP_IPC_LOCK')
  await start(boundedBy([...kept, 'CAP_MKNOD']), (_pid, said) => {
    expect(said).toMatch(/"excess":\["CAP_MKNOD"\].*more capabilities than it needs/)
    expect(said).toMatch(/"missing":\[[^\]]*"CAP_IPC_LOCK"[^\]]*\].*keepalived has to do without/)
  })
})
