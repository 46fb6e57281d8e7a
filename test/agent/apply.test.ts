import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import { TestAgent, textOf } from '../support/agent.ts'
import { id, prefix, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ id: id('r2'), namespace: 'keepward-r2' })
const r3 = routerSpec({ id: id('r3'), namespace: 'keepward-r3' })
const invalid = new KeepwardError('config-invalid', 'agent.yaml:3:7: vrid is 300, must be 1 to 255')

const changing = (performed: readonly string[]): string[] =>
  performed.filter((one) => /^(ensure|write|start|reload|remove)/.test(one))

test('apply() says and does what is added, changed and removed, and touches no other router', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await test.role('backup', 'r1')
  await test.role('backup', 'r2')
  const seq = test.journal.status.durableSeq
  const made = test.world.host.performed.length
  test.want([{ ...r1, priority: 90 }, r3])
  expect(await test.agent.apply()).toEqual({
    configDigest: '2 routers',
    added: 1,
    changed: 1,
    removed: 1,
    sections: [],
    restartFor: [],
  })
  await test.role('backup', 'r3')
  await until('r2 is gone', () => !test.agent.status().routers.some((one) => one.id === 'r2'))
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  const done = changing(test.world.host.performed.slice(made))
  expect(done.filter((one) => one.includes('r1'))).toEqual(['write-config r1', 'reload-keepalived r1'])
  expect(done.filter((one) => one.includes('r2'))).toEqual(['remove-router r2'])
  const [applying, loaded] = (await test.records({ after: seq })).filter(({ kind }) => kind === 'config')
  const nobody = { by: null, uid: null, gid: null, pid: null, executable: null, executableBy: null }
  expect(applying?.body).toEqual({ change: 'applying', digest: '2 routers', key: null, ...nobody })
  expect(loaded?.body).toEqual({
    change: 'loaded',
    digest: '2 routers',
    key: null,
    ...nobody,
    added: 1,
    changed: 1,
    removed: 1,
    sections: [],
    restartFor: [],
  })
})

test('the journal has what was done to each router, and for which config; a failure that repeats itself once', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  const work = async () =>
    (await test.records()).filter(({ kind }) => kind === 'operation').map(({ router, body }) => ({ router, ...body }))
  await test.role('backup')
  const done = { router: 'r1', change: 'performed', code: null, text: null, configDigest: 'first' }
  const interfaces = ['ensure-interface ha0', 'ensure-interface ext0']
  expect(await work()).toEqual([
    { ...done, steps: ['ensure-namespace', 'ensure-filter', ...interfaces, 'write-config'] },
    { ...done, steps: ['start-keepalived'] },
  ])
  test.world.host.failing.set('reload-keepalived', new KeepwardError('keepalived-silent', 'it does not answer'))
  test.want([{ ...r1, priority: 90 }])
  const peer = { uid: 1000, gid: 1000, pid: 77 }
  await test.agent.apply({ by: 'request', peer, executable: undefined })
  await until('it was tried twice', () => test.world.count('reload-keepalived r1') >= 2)
  test.world.host.failing.clear()
  await until('it is done', async () => (await test.agent.plan()).routers.length === 0)
  await until('and written down', async () => (await work()).length >= 5)
  const then = { ...done, configDigest: '1 routers' }
  const text = 'Cannot reload keepalived: it does not answer'
  expect((await work()).slice(2)).toEqual([
    { ...then, steps: ['write-config'] },
    { ...then, change: 'failed', steps: ['reload-keepalived'], code: 'keepalived-silent', text },
    { ...then, steps: ['reload-keepalived'] },
  ])
})

test('apply() of the same config changes nothing', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  const made = test.world.host.performed.length
  expect(await test.agent.apply()).toEqual({
    configDigest: 'first',
    added: 0,
    changed: 0,
    removed: 0,
    sections: [],
    restartFor: [],
  })
  await staysSo('nothing done', () => changing(test.world.host.performed.slice(made)).length === 0, 200)
})

test('apply() of a refused config keeps the old one, raises config-not-applied, and clears it with the next good one', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const made = test.world.host.performed.length
  test.file = invalid
  await expect(test.agent.apply()).rejects.toThrow(invalid)
  expect(await test.condition('config-not-applied')).toBe('agent.yaml:3:7: vrid is 300, must be 1 to 255')
  expect(test.agent.status()).toMatchObject({ health: 'degraded', agent: { configDigest: 'first' } })
  expect(test.agent.config.routers).toEqual([r1])
  await staysSo('nothing done', () => changing(test.world.host.performed.slice(made)).length === 0, 100)
  test.want([r1])
  await test.agent.apply()
  await test.noCondition('config-not-applied')
  const written = (await test.records()).filter(({ kind }) => kind === 'config' || kind === 'condition')
  const said = written.map(({ kind, body }) => `${kind} ${textOf(body['code'] ?? '')} ${textOf(body['change'])}`)
  expect(said.slice(-7)).toEqual([
    'config config-invalid refused',
    'condition config-not-applied raised',
    'condition config-changed-on-disk raised',
    'config  applying',
    'config  loaded',
    'condition config-not-applied cleared',
    'condition config-changed-on-disk cleared',
  ])
})

test('apply() takes another identity and other paths for the next start, and the rest at once', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const { paths } = test.agent.config
  test.want([r1, r2], { agent: { id: 'host2', user: 'keepward' }, paths: { ...paths, state: '/elsewhere' } })
  const restartFor = ['agent', 'paths']
  expect(await test.agent.plan()).toMatchObject({ restartFor })
  expect(await test.agent.apply()).toMatchObject({ added: 1, restartFor })
  expect(test.agent.config).toMatchObject({ agent: { id: 'host1' }, paths, routers: [r1, r2] })
  expect(await test.agent.plan()).toMatchObject({ restartFor })
})

test('apply() with another namespace removes the router there, then makes it here', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const made = test.world.host.performed.length
  test.want([{ ...r1, namespace: 'elsewhere' }])
  expect(await test.agent.apply()).toMatchObject({ added: 0, changed: 1, removed: 0 })
  await until('r1 is made elsewhere', () => test.world.host.routers.get(r1.id)?.namespace === 'elsewhere')
  await test.role('backup')
  expect(changing(test.world.host.performed.slice(made))).toEqual([
    'remove-router r1',
    'ensure-namespace r1',
    'ensure-filter r1',
    'ensure-interface r1 ha0',
    'ensure-interface r1 ext0',
    'write-config r1',
    'start-keepalived r1',
  ])
})

test('apply() that wants a router no more wins over an earlier wish to have it elsewhere', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.want([{ ...r1, namespace: 'elsewhere' }])
  await test.agent.apply()
  test.want([])
  await test.agent.apply()
  await until('r1 is gone', () => test.agent.status().routers.length === 0)
  await staysSo('r1 stays gone', () => !test.world.host.routers.has(r1.id), 500)
})

test('apply() that drops a router and at once wants it back removes it and makes it anew', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.want([])
  await test.agent.apply()
  test.want([r1])
  await test.agent.apply()
  await until('r1 was made anew', () => test.world.count('start-keepalived r1') === 2)
  await test.role('backup')
  expect(test.agent.status().routers.length).toBe(1)
})

test('plan() names every step and what moves a role, and touches nothing', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  const world = test.world.host.print()
  const made = test.world.host.performed.length
  const seq = test.journal.status.durableSeq
  test.want([{ ...r1, priority: 90, virtualAddresses: [] }, r2])
  const answer = await test.agent.plan()
  expect(answer).toMatchObject({ configDigest: '2 routers', movesRole: true })
  expect(answer.routers.map(({ router, change }) => `${change} ${router}`)).toEqual(['change r1', 'add r2'])
  expect(answer.routers[0]?.config).toContainEqual({ path: 'priority', before: '100', after: '90' })
  expect(answer.routers[0]?.steps).toEqual([{ text: 'test and write the keepalived config of r1', movesRole: false }])
  expect(answer.routers[0]?.waiting).toEqual([
    { step: 'reload keepalived', reason: 'so soon after the last reload', movesRole: true },
  ])
  // keepalived can start only once the link that the plan makes has carrier.
  expect(answer.routers[1]?.steps.map(({ text }) => text)).toEqual([
    'make namespace keepward-r2 and its settings',
    'let only declared peers speak VRRP to it, and a backup say nothing',
    'create interface ha0 on bridge br-ha',
    'create interface ext0 on bridge br-ext',
    'test and write the keepalived config of r2',
  ])
  expect(answer.routers[1]?.waiting).toEqual([
    { step: 'start keepalived', reason: 'until ha0 has carrier', movesRole: true },
  ])
  await staysSo('nothing done', () => changing(test.world.host.performed.slice(made)).length === 0, 100)
  expect(test.world.host.print()).toBe(world)
  expect(await test.since(seq)).toEqual([])
  expect(test.agent.config.routers).toEqual([r1])
})

test('plan() of a config without the router says that removal ends its role as primary', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  test.want([])
  expect(await test.agent.plan()).toMatchObject({
    movesRole: true,
    routers: [
      {
        router: 'r1',
        change: 'remove',
        steps: [{ text: 'stop keepalived and remove what was made for the router', movesRole: true }],
      },
    ],
  })
})

test('plan() and apply() name the sections that take effect at once, and those for which the agent must be restarted', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  const { stateChange } = test.agent.config
  test.want([r1], { reconcile: { intervalMs: 5000 }, stateChange: { ...stateChange, socketGroup: 'neutron' } })
  const wanted = { sections: ['reconcile'], restartFor: ['stateChange'] }
  expect(await test.agent.plan()).toMatchObject({ routers: [], ...wanted })
  expect(await test.agent.apply()).toMatchObject(wanted)
  // Applied, but the process still is what it was started as.
  expect(await test.agent.plan()).toMatchObject({ routers: [], sections: [], restartFor: ['stateChange'] })
  test.want([r1], { reconcile: { intervalMs: 5000 }, stateChange })
  expect(await test.agent.plan()).toMatchObject({ routers: [], sections: [], restartFor: [] })
})

test('plan() of an invalid config is refused, and raises nothing', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  test.file = invalid
  await expect(test.agent.plan()).rejects.toThrow(invalid)
  expect(test.agent.status().conditions).toEqual([])
})

test('apply() of a config that keepalived refuses leaves the running one alone and raises config-refused', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const loaded = test.world.host.routers.get(r1.id)?.keepalived?.loaded
  test.world.host.failing.set('write-config', new KeepwardError('keepalived-refused-config', 'line 7: Unknown keyword'))
  test.want([{ ...r1, virtualAddresses: [{ ...prefix('203.0.113.99/24'), interface: 'ext0' }] }])
  await test.agent.apply()
  expect(await test.condition('config-refused', 'r1')).toBe('line 7: Unknown keyword')
  expect(test.world.count('reload-keepalived r1')).toBe(0)
  expect(test.world.host.routers.get(r1.id)?.keepalived?.loaded).toBe(loaded)
  expect(test.router().role).toBe('backup')
  test.world.host.failing.clear()
  await test.noCondition('config-refused', 'r1')
  await until('reloaded', () => test.world.count('reload-keepalived r1') === 1)
})
