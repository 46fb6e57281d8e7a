import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import { TestAgent } from '../support/agent.ts'
import { claimOf } from '../support/claim.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const r1 = routerSpec()

async function asBackup(): Promise<TestAgent> {
  const test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  return test
}

const says = async (test: TestAgent) =>
  (await test.agent.explain('r1')).evidence.find(({ what }) => what === 'notifier: says')?.found

test('a claim about a router of the config is shown as one only while the kernel shows nothing of the router', async () => {
  await using test = await asBackup()
  test.world.passTime(2000)
  await test.agent.claims.take(claimOf(test, 'backup'))
  await test.agent.claims.take(claimOf(test, 'primary', { router: id('r9') }))
  expect(test.agent.status().claims).toMatchObject([{ router: 'r9', known: false }])
  test.world.lets = () => false
  test.world.passTime(31_000)
  expect(test.agent.status().claims).toMatchObject([
    { router: 'r1', state: 'backup', uid: 0, pid: 812, stale: false, known: true },
    { router: 'r9', known: false },
  ])
  expect(test.router()).toMatchObject({ role: 'backup', stale: true })
  test.world.lets = () => true
  await until('r1 is seen again', () => test.agent.status().claims.length === 1)
})

test('a claim is stale in explain and status after three of its intervals, and is never a role', async () => {
  await using test = await asBackup()
  test.world.host.failing.set('ensure-namespace', new KeepwardError('namespace-failed', 'no room'))
  test.world.host.deleteNamespace(r1.id)
  await test.role('unknown')
  await test.agent.claims.take(claimOf(test, 'primary', { intervalMs: 10_000 }))
  expect(await says(test)).toBe('primary (uid 0, pid 812)')
  test.world.passTime(29_000)
  expect(test.agent.status().claims).toMatchObject([{ router: 'r1', state: 'primary', stale: false }])
  test.world.passTime(2000)
  expect(test.agent.status().claims).toMatchObject([{ router: 'r1', state: 'primary', stale: true }])
  expect(await says(test)).toBe('primary, stale (uid 0, pid 812)')
  expect(test.router().role).toBe('unknown')
})
