import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalAll } from '../../src/lab/processes.ts'
import { labFor, lastRole, troublesOf, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const marker = '169.254.0.1'
const freezeMs = Number(process.env['KEEPWARD_TEST_FREEZE_MS'] ?? 3000)
let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('crash')
})
afterAll(async () => {
  await it.down()
})

test('agent killed with -9 amid 20 transitions comes back with the right state and a whole journal', async () => {
  const host = it.other(await it.settled())
  const pids = it.lab.keepalivedPids(host, 'r1')
  // By hand on a backup: each is a transition, and keepalived has no part in it.
  for (let n = 0; n < 20; n += 1) {
    it.ip(host, 'r1', 'address', n % 2 === 0 ? 'add' : 'delete', `${marker}/24`, 'dev', 'ha0')
    if (n === 9) await it.lab.killAgent(host)
    if (n === 14) it.lab.startAgent(host)
  }
  await it.answers(host)
  await it.role(host, 'backup')
  await it.noCondition(host)
  expect(await it.verify(host)).toMatchObject({ ok: true })
  const transitions = await it.transitions(host)
  expect(lastRole(transitions)).toBe('backup')
  expect(isChain(transitions)).toBe(true)
  expect(it.lab.keepalivedPids(host, 'r1')).toEqual(pids)
})

const losses = {
  'nothing else': () => undefined,
  'the identity file': (run: string) => {
    rmSync(join(run, 'routers/r1/process.json'))
  },
  'the whole run directory': (run: string) => {
    rmSync(run, { recursive: true })
  },
}

for (const [lost, lose] of Object.entries(losses)) {
  test(`agent adopts keepalived and moves no address when it is killed and ${lost} is lost`, async () => {
    const primary = await it.settled()
    const pids = { h1: it.lab.keepalivedPids('h1', 'r1'), h2: it.lab.keepalivedPids('h2', 'r1') }
    const before = await it.router(primary)
    using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
    for (const { name, directory } of it.lab.hosts) {
      await it.lab.killAgent(name)
      lose(join(directory, 'run'))
      it.lab.startAgent(name)
      await it.answers(name)
    }
    expect(await it.settled()).toBe(primary)
    await until('what the agents have to do is done', async () => {
      const [one, two] = await Promise.all([it.router('h1'), it.router('h2')])
      return troublesOf(one).length === 0 && troublesOf(two).length === 0 && (await isAsked(it))
    })
    expect(watch.seen).toEqual([])
    // A test of the config that was lost is a keepalived too, for a moment.
    for (const host of ['h1', 'h2'] as const)
      await until(
        'the same keepalived runs, and no other',
        () => String(it.lab.keepalivedPids(host, 'r1')) === String(pids[host]),
      )
    // The journal lies in the state directory: since when the role is held has survived.
    expect((await it.router(primary)).sinceMs).toBe(before.sinceMs)
    expect(await it.verify(primary)).toMatchObject({ ok: true })
    // It is heard, also where the FIFO of before is lost with the run directory, and held: its silent death is answered.
    const backup = it.other(primary)
    it.ip(backup, 'r1', 'link', 'set', 'ha0', 'down')
    await it.role(backup, 'fault', 'r1', 2000)
    it.ip(backup, 'r1', 'link', 'set', 'ha0', 'up')
    await it.role(backup, 'backup', 'r1', 2000)
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(backup, 'primary')
    expect(await it.settled()).toBe(backup)
  })
}

test(`failovers go on while the agent is frozen for ${String(freezeMs)} ms, and the truth is written down after`, async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  const frozen = it.lab.agentPid(heir)
  const after = await it.lastSeq(heir)
  await signalAll([frozen], 'SIGSTOP')
  const stoppedMs = Date.now()
  try {
    await it.lab.killKeepalived(primary, 'r1')
    await until('the host of the frozen agent has taken over', () => it.addresses(heir, 'ha0').includes(`${marker}/24`))
    await until('the freeze has lasted', () => Date.now() - stoppedMs >= freezeMs, freezeMs + 5000)
  } finally {
    await signalAll([frozen], 'SIGCONT')
  }
  await it.role(heir, 'primary')
  expect(await it.settled()).toBe(heir)
  expect(await it.transitions(heir, 'r1', after)).toEqual(['backup -> primary'])
  expect((await it.status(heir)).journal.lost).toBe(0)
  for (const host of ['h1', 'h2']) expect(await it.verify(host)).toMatchObject({ ok: true })
})

/** keepalived has answered both agents since they started. */
async function isAsked(lab: LabUnderTest): Promise<boolean> {
  const both = await Promise.all(['h1', 'h2'].map((host) => lab.explain(host)))
  return both.every(({ evidence }) =>
    evidence.some(({ what, found }) => what === 'keepalived: says' && /^(primary|backup)/.test(found)),
  )
}

/** Each transition begins where the one before ended. */
function isChain(transitions: readonly string[]): boolean {
  return transitions.every((one, at) => {
    const before = transitions[at - 1]
    return before === undefined || one.split(' -> ')[0] === before.split(' -> ')[1]
  })
}
