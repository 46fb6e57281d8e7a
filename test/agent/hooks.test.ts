import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import type { AgentOperation } from '../../src/host/operation.ts'
import type { Hook, RouterSpec } from '../../src/router/spec.ts'
import { TestAgent } from '../support/agent.ts'
import { id, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

const hook = (program: string, change: Partial<Hook> = {}): Hook => ({
  program,
  args: [],
  user: 'hook',
  on: ['primary', 'backup', 'fault'],
  timeoutMs: 10_000,
  namespace: 'host',
  ...change,
})
const r1 = routerSpec({ hooks: [hook('/a')] })
const r2 = routerSpec({ ...r1, id: id('r2'), namespace: 'keepward-r2', vrid: 8 })

const told = (test: TestAgent, router: RouterSpec = r1): string[] => [
  ...(test.world.host.routers.get(router.id)?.told ?? []),
]
const isHook = (operation: AgentOperation) => operation.verb === 'run-hook'

test('hooks hear each role in order, once it is in the journal, and the journal tells of each run', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const asked: number[] = []
  test.world.intercept = (operation) => {
    if (operation.verb === 'run-hook') {
      expect(test.journal.status.durableSeq).toBeGreaterThanOrEqual(operation.sequence)
      asked.push(operation.sequence)
    }
    return undefined
  }
  await until('it heard backup', () => told(test).length === 1)
  for (const role of ['primary', 'backup', 'fault', 'backup'] as const) {
    test.world.host.elect(r1.id, role)
    await test.role(role)
  }
  await until('it heard all', () => told(test).length === 5)
  expect(told(test)).toEqual(['/a backup', '/a primary', '/a backup', '/a fault', '/a backup'])
  expect(asked).toEqual(asked.toSorted((a, b) => a - b))
  const transitions = (await test.records({ router: 'r1' })).filter(({ kind }) => kind === 'transition')
  expect(asked.slice(-4)).toEqual(transitions.slice(-4).map(({ seq }) => seq))
  const runs = (await test.records({ router: 'r1' })).filter(({ body }) => body['change'] === 'hook-done')
  expect(runs.map(({ body }) => body['role'])).toEqual(['backup', 'primary', 'backup', 'fault', 'backup'])
  expect(test.defects).toEqual([])
})

test('a hook that hangs or fails delays no other router and no service, shows, and goes away once it ends well', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await until('both heard backup', () => told(test).length === 1 && told(test, r2).length === 1)
  test.world.intercept = (operation) =>
    isHook(operation) && operation.router === r1.id ? new Promise(() => undefined) : undefined
  test.world.host.elect(r1.id, 'primary')
  test.world.host.elect(r2.id, 'primary')
  await until('r2 heard', () => told(test, r2).at(-1) === '/a primary', 1000)
  expect(told(test)).toEqual(['/a backup'])
  await using other = await TestAgent.start({ routers: [r1] })
  await until('it heard backup', () => told(other).length === 1)
  other.world.intercept = (operation) =>
    isHook(operation) ? Promise.reject(new KeepwardError('hook-failed', 'it will not')) : undefined
  other.world.host.elect(r1.id, 'primary')
  expect(await other.condition('hook-failed', 'r1')).toBe('/a on primary: it will not')
  other.world.intercept = () => undefined
  await other.noCondition('hook-failed', 'r1')
  expect(told(other).at(-1)).toBe('/a primary')
})

test('an agent that was killed before a hook had heard tells it after; what it has heard it does not hear again', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await until('it heard backup', () => told(test).length === 1)
  test.world.intercept = (operation) => (isHook(operation) ? new Promise(() => undefined) : undefined)
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  await using again = await test.killAndStart({ routers: [r1] })
  await again.role('primary')
  await staysSo('it does not hear it while none may run', () => told(again).length === 1, 300)
  again.world.intercept = () => undefined
  await using third = await again.killAndStart({ routers: [r1] })
  await until('it heard primary', () => told(third).at(-1) === '/a primary')
  await using fourth = await third.restart({ routers: [r1] })
  await fourth.role('primary')
  await staysSo('it hears nothing more', () => told(fourth).length === 2, 500)
})

test('a role that was not told, and is another when an agent comes back, is not told then', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await until('it heard backup', () => told(test).length === 1)
  test.world.intercept = (operation) => (isHook(operation) ? new Promise(() => undefined) : undefined)
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  await using again = await test.restart({ routers: [r1] }, () => {
    test.world.host.elect(r1.id, 'backup')
    test.world.intercept = () => undefined
  })
  await until('it heard backup again', () => told(again).length === 2)
  expect(told(again)).toEqual(['/a backup', '/a backup'])
})

test('a hook that the config adds hears the role that is', async () => {
  await using test = await TestAgent.start({ routers: [routerSpec({})] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  test.want([r1])
  await test.agent.apply()
  await until('it heard primary', () => told(test).join() === '/a primary')
  test.want([routerSpec({ hooks: [hook('/b'), hook('/a')] })])
  await test.agent.apply()
  await until('the new one alone heard', () => told(test).join() === '/a primary,/b primary')
})

test('what another hook heard while the config changed is not booked for the one that was meant', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await until('it heard backup', () => told(test).length === 1)
  const { promise, resolve: go } = Promise.withResolvers<undefined>()
  let asked = false
  test.world.intercept = (operation) => {
    asked ||= isHook(operation)
    return isHook(operation) ? promise : undefined
  }
  test.world.host.elect(r1.id, 'primary')
  await until('it is asked for', () => asked)
  test.want([routerSpec({ hooks: [hook('/b'), hook('/a')] })])
  await test.agent.apply()
  test.world.intercept = () => undefined
  go(undefined)
  await until('both heard primary', () => told(test).length === 3)
  expect(told(test).slice(1).sort()).toEqual(['/a primary', '/b primary'])
  const runs = (await test.records({ router: 'r1' })).filter(({ body }) => body['hook'] === '/a')
  expect(runs.map(({ body }) => body['code'])).toEqual([null, 'hook-undeclared', null])
})

test('a role that flips 50 times within 5 s shows as flapping, and ends with one last hook of the role that is', async () => {
  const flaps = { changes: 10, windowMs: 60_000 }
  await using test = await TestAgent.start({ routers: [{ ...r1, flaps }] })
  await until('it heard backup', () => told(test).length === 1)
  for (let flip = 0; flip < 50; flip++) {
    test.world.host.elect(r1.id, flip % 2 === 0 ? 'primary' : 'backup')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const during = told(test).length
  expect(during).toBeLessThanOrEqual(11)
  await test.role('backup')
  expect(await test.condition('flapping', 'r1')).toMatch(/^5\d changes of role within 60 s, most often \(\d+ times\): /)
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  expect((await test.agent.explain('r1')).evidence.find(({ what }) => what === 'hooks: waiting')?.found).toMatch(
    /^primary, held back while the role flaps, for [1-5] s at most$/,
  )
  test.world.passTime(5000)
  await until('it heard once more', () => told(test).length > during, 8000)
  expect(told(test).slice(during)).toEqual(['/a primary'])
  test.world.passTime(60_000)
  await test.noCondition('flapping', 'r1')
  expect(test.agent.figures.hooks).toMatchObject({ waiting: 0, dropped: 0 })
  expect(test.agent.figures.hooks.coalesced).toBeGreaterThan(30)
  expect(test.defects).toEqual([])
})
