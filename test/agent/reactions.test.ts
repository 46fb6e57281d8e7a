import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { TestAgent } from '../support/agent.ts'
import { advertisement, id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const metadata: RouterSpec['metadata'] = {
  on: 'primary',
  listen: [{ address: '169.254.169.254', interface: 'ext0' }],
  port: 80,
  socket: '/run/metadata',
  user: 'nobody',
  group: 'nogroup',
  networkId: undefined,
}
const r1 = routerSpec({ routerAdvertisements: [advertisement], metadata })
const r2 = routerSpec({ ...r1, id: id('r2'), namespace: 'keepward-r2', vrid: 8 })

const servicesOf = (test: TestAgent, router: RouterSpec): string[] => [
  ...(test.world.host.routers.get(router.id)?.services.keys() ?? []),
]
const reactionsAsked = (test: TestAgent): number =>
  test.world.host.performed.filter((operation) => operation.startsWith('react ')).length

test('services come with the role and go with it, in one order and the other', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  expect(servicesOf(test, r1)).toEqual([])
  test.world.host.elect(r1.id, 'primary')
  await until('both run', () => servicesOf(test, r1).join() === 'radvd,metadata')
  test.world.host.elect(r1.id, 'backup')
  await until('none runs', () => servicesOf(test, r1).length === 0)
  expect(test.defects).toEqual([])
})

test('fault acts as backup', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await until('both run', () => servicesOf(test, r1).length === 2)
  test.world.host.elect(r1.id, 'fault')
  await until('none runs', () => servicesOf(test, r1).length === 0)
})

test('conntrackd runs in every role behind its filter, and is told each', async () => {
  const connectionTracking = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }
  await using test = await TestAgent.start({ routers: [{ ...r1, connectionTracking }] })
  await test.role('backup')
  const told = (role: string) => test.world.host.routers.get(r1.id)?.services.get('conntrackd')?.includes(`"${role}"`)
  await until('it runs as backup', () => told('backup'))
  expect(test.world.host.routers.get(r1.id)?.tables.has('flows')).toBe(true)
  test.world.host.elect(r1.id, 'primary')
  await until('it is told of the primary', () => told('primary'))
  // In fault it may be told nothing, as the link to its peer is gone; of the role after it, it is.
  test.world.host.elect(r1.id, 'fault')
  await test.role('fault')
  test.world.host.elect(r1.id, 'backup')
  await until('it is told that it is none', () => told('backup'))
})

test('an agent that starts on a primary asks for nothing that runs already', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await until('both run', () => servicesOf(test, r1).length === 2)
  const asked = reactionsAsked(test)
  await using again = await test.restart({ routers: [r1] })
  await again.role('primary')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(reactionsAsked(again)).toBe(asked)
})

test('a role that flips 50 times ends with the services of the last one', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  for (let flip = 0; flip < 50; flip++) {
    test.world.host.elect(r1.id, flip % 2 === 0 ? 'primary' : 'backup')
    if (flip % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await test.role('backup')
  await until('none runs', () => servicesOf(test, r1).length === 0)
  test.world.host.elect(r1.id, 'primary')
  await until('both run', () => servicesOf(test, r1).length === 2)
  expect(test.defects).toEqual([])
})

test('a role that is past before anything follows it is not followed any more', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const stances: string[] = []
  test.world.intercept = (operation) => {
    if (operation.verb === 'react') stances.push(`${operation.reaction} ${operation.stance}`)
    return undefined
  }
  test.world.host.elect(r1.id, 'primary')
  test.world.host.elect(r1.id, 'backup')
  await test.role('backup')
  await until('a service followed', () => stances.length > 0)
  expect(stances).toEqual(['radvd backup'])
})

test('a service that dies is started again; one that fails is a condition until it does not, and the other runs', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await until('both run', () => servicesOf(test, r1).length === 2)
  test.world.host.killService(r1.id, 'metadata')
  await until('both run', () => servicesOf(test, r1).length === 2, 1000)
  test.world.intercept = (operation) =>
    operation.verb === 'react' && operation.reaction === 'radvd'
      ? Promise.reject(new KeepwardError('reaction-failed', 'radvd will not'))
      : undefined
  test.world.host.killService(r1.id, 'radvd')
  const failed = () => test.router('r1').conditions.find(({ code }) => code === 'reaction-failed')?.text
  await until('it shows', () => failed()?.includes('radvd will not'))
  expect(servicesOf(test, r1)).toEqual(['metadata'])
  test.world.intercept = () => undefined
  await until('both run, and nothing shows', () => servicesOf(test, r1).length === 2 && failed() === undefined, 10_000)
  const work = (await test.records({ router: 'r1' }))
    .map(({ body: { change, reaction, stance, code } }) => ({ change, reaction, stance, code }))
    .filter(({ reaction, stance }) => reaction === 'radvd' && stance === 'primary')
  const radvd = { reaction: 'radvd', stance: 'primary' }
  // However often it failed, the same is told once.
  expect(work).toEqual([
    { ...radvd, change: 'reaction-done', code: null },
    { ...radvd, change: 'reaction-failed', code: 'reaction-failed' },
    { ...radvd, change: 'reaction-done', code: null },
  ])
})

test('a reaction that never ends delays no other router, and the next role comes to its own', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await test.role('backup')
  await test.role('backup', 'r2')
  let hangs = true
  test.world.intercept = (operation) =>
    operation.verb === 'react' && operation.router === r1.id && operation.stance === 'primary' && hangs
      ? new Promise(() => undefined)
      : undefined
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  test.world.host.elect(r2.id, 'primary')
  await until('those of r2 run', () => servicesOf(test, r2).length === 2, 1000)
  test.world.host.elect(r1.id, 'backup')
  await test.role('backup')
  hangs = false
  test.world.host.elect(r1.id, 'primary')
  await until('those of r1 run', () => servicesOf(test, r1).length === 2, 1000)
})
