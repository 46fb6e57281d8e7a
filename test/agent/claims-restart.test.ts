import { test } from 'vitest'
import { TestAgent } from '../support/agent.ts'
import { claimOf } from '../support/claim.ts'
import { routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

const r1 = routerSpec()

async function asBackup(): Promise<TestAgent> {
  const test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  return test
}

const notifierConditions = ({ told }: TestAgent): string[] =>
  told.flatMap((one) =>
    one.what === 'condition' && one.code.startsWith('notifier') ? [`${one.code} ${one.change}`] : [],
  )

const hearsAgain = (test: TestAgent) =>
  until('the claims are heard again', async () =>
    (await test.agent.explain('r1')).evidence.some(({ what }) => what === 'notifier: says'),
  )

test('a restart hears claims again that were owed and then made, and raises nothing', async () => {
  const first = await asBackup()
  await first.agent.claims.take(claimOf(first, 'backup'))
  first.world.passTime(5000)
  first.world.host.elect(r1.id, 'primary')
  await first.role('primary')
  first.world.passTime(5000)
  await first.agent.claims.take(claimOf(first, 'primary'))
  await using second = await first.restart({ routers: [r1] })
  await second.role('primary')
  await hearsAgain(second)
  await staysSo('nothing raised', () => notifierConditions(second).length === 0, 500)
})

test('a restart hears claims again that contradicted and then agreed, and raises nothing', async () => {
  const first = await asBackup()
  first.world.passTime(5000)
  await first.agent.claims.take(claimOf(first, 'primary'))
  first.world.passTime(5000)
  await first.agent.claims.take(claimOf(first, 'backup'))
  await using second = await first.restart({ routers: [r1] })
  await second.role('backup')
  await hearsAgain(second)
  await staysSo('nothing raised', () => notifierConditions(second).length === 0, 500)
})

test('a claim that still contradicts after a restart is raised anew once that has settled, and stays', async () => {
  const first = await asBackup()
  first.world.passTime(5000)
  await first.agent.claims.take(claimOf(first, 'primary'))
  await first.condition('notifier-disagrees', 'r1')
  await using second = await first.restart({ routers: [r1] })
  await second.role('backup')
  await hearsAgain(second)
  await staysSo('not settled yet', () => notifierConditions(second).length === 0, 500)
  await second.condition('notifier-disagrees', 'r1')
  await staysSo('still raised', () => notifierConditions(second).join() === 'notifier-disagrees raised', 500)
})
