import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/journal/record.ts'
import { TestAgent, textOf } from '../support/agent.ts'
import { id, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ id: id('r2'), namespace: 'keepward-r2' })

test('a keepalived that died as primary is shown so, its address cleared and it started again within 1 s', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  const seq = test.journal.status.durableSeq
  const diedMs = performance.now()
  test.world.host.killKeepalived(r1.id)
  await until('started again', () => test.world.count('start-keepalived r1') === 2)
  expect(performance.now() - diedMs).toBeLessThan(1000)
  await test.role('backup')
  await test.noCondition('address-without-keepalived', 'r1')
  await test.noCondition('keepalived-restarting', 'r1')
  expect(await test.transitions('r1', seq)).toEqual(['primary -> unknown', 'unknown -> backup'])
  const conditions = (await test.records({ router: 'r1', after: seq })).filter(({ kind }) => kind === 'condition')
  expect(conditions.map(({ body }) => conditionText(body))).toEqual([
    'raised address-without-keepalived',
    'raised keepalived-restarting',
    'cleared address-without-keepalived',
    'cleared keepalived-restarting',
  ])
})

test('a keepalived that dies again and again is started ever more slowly', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.killKeepalived(r1.id)
  await until('started again', () => test.world.count('start-keepalived r1') === 2)
  await test.role('backup')
  test.world.host.killKeepalived(r1.id)
  expect(await test.condition('keepalived-restarting', 'r1')).toBe(
    'keepalived died 2 times in a row and is to be started again',
  )
  await staysSo('no third start', () => test.world.count('start-keepalived r1') === 2, 600)
  expect((await test.agent.explain('r1')).waiting).toEqual([
    { step: 'start keepalived', reason: 'after it died again and again' },
  ])
  await until('started the third time', () => test.world.count('start-keepalived r1') === 3, 2000)
  await test.role('backup')
})

test('a filter that somebody removed is put there again, and it is on record that the router ran without', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await test.noCondition('vrrp-unfiltered', 'r1')
  test.world.host.loseTable(r1.id, 'vrrp')
  test.world.passTime(25_000)
  await until('it is there again', () => test.world.count('ensure-table r1 vrrp') === 2)
  await test.noCondition('vrrp-unfiltered', 'r1')
  const changes = (await test.records({ router: 'r1' })).filter(({ body }) => body['code'] === 'vrrp-unfiltered')
  expect(changes.map(({ body }) => body['change'])).toEqual(['raised', 'cleared'])
})

test('a stopped keepalived is keepalived-stalled: shown, neither killed nor started anew', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const keepalived = test.world.host.routers.get(r1.id)?.keepalived
  if (keepalived === undefined) throw new Error('no keepalived')
  keepalived.stopped = true
  expect(await test.condition('keepalived-stalled', 'r1')).toBe(
    `keepalived ${String(keepalived.pid)} is stopped (state T)`,
  )
  expect(test.router().role).toBe('backup')
  await staysSo('no start', () => test.world.count('start-keepalived r1') === 1, 300)
  keepalived.stopped = false
  await test.noCondition('keepalived-stalled', 'r1')
})

test.each(['removed', 'removed and made anew'])(
  'an HA interface %s while no agent runs leaves keepalived deaf: it is reloaded, and takes part',
  async (how) => {
    const first = await TestAgent.start({ routers: [r1] })
    await first.role('backup')
    const on = { router: r1.id, interface: r1.haInterface }
    await using test = await first.restart({ routers: [r1] }, async () => {
      await first.world.host.perform({ verb: 'remove-interface', ...on })
      if (how === 'removed and made anew') await first.world.host.perform({ verb: 'ensure-interface', ...on })
    })
    await until('reloaded', () => test.world.count('reload-keepalived r1') === 1)
    test.world.host.elect(r1.id, 'primary')
    await test.role('primary')
    expect(test.world.count('start-keepalived r1')).toBe(1)
  },
)

test('a namespace deleted behind our back is unknown, then made again', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  const seq = test.journal.status.durableSeq
  test.world.host.deleteNamespace(r1.id)
  await until('made again', () => test.world.count('ensure-namespace r1') === 2)
  await test.role('backup')
  expect(await test.transitions('r1', seq)).toEqual(['backup -> unknown', 'unknown -> backup'])
})

test('a marker removed behind keepalived shows as the kernel has it, and as kernel-disagrees once it has settled', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  test.world.host.removeAddress(r1.id, 'ha0', '169.254.0.7')
  await test.role('backup')
  expect(await test.condition('kernel-disagrees', 'r1')).toBe(
    'keepalived says primary, but 169.254.0.7/24 is not on ha0',
  )
})

test('a journal that cannot be written holds no effect up for more than 100 ms; records are late, and it recovers', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await test.records()
  const file = join(test.directory, 'state', 'journal.sqlite')
  const seq = test.journal.status.durableSeq
  const told = test.told.length
  renameSync(file, `${file}.away`)
  test.world.host.elect(r1.id, 'primary')
  await until('the role is told', () => test.told.slice(told).some((one) => one.what === 'role'))
  expect(test.router()).toMatchObject({ role: 'primary', recorded: false })
  expect(test.told.slice(told).filter((one) => one.what === 'role')).toMatchObject([
    { router: 'r1', to: 'primary', late: true },
  ])
  const [role] = test.told.slice(told).filter((one) => one.what === 'role')
  expect(role?.afterMs).toBeLessThan(250)
  expect(await test.condition('journal-unavailable')).toMatch(
    /was removed or replaced while in use; \d+ records? waits? in memory$/,
  )
  for (let n = 0; n < 50; n++) {
    test.journal.append({ kind: 'config', router: undefined, at: test.world.clock(), body: { change: 'loaded' } })
  }
  const { pending } = test.journal.status
  expect(pending).toBeGreaterThan(50)
  expect(test.agent.status().conditions[0]?.text).toMatch(`; ${String(pending)} records wait in memory`)
  expect(test.agent.status()).toMatchObject({ health: 'critical', journal: { state: 'unavailable', durableSeq: seq } })
  renameSync(`${file}.away`, file)
  await test.noCondition('journal-unavailable')
  await test.role('primary')
  const records = await test.records({ after: seq })
  expect(records.find(({ kind }) => kind === 'transition')).toMatchObject({ late: true, body: { to: 'primary' } })
  expect(await test.journal.verify()).toMatchObject({ ok: true })
  expect(test.agent.status().journal).toMatchObject({ state: 'ok', lost: 0, pending: 0 })
})

test('stop() while the journal comes back writes what waited', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await test.records()
  const seq = test.journal.status.durableSeq
  const file = join(test.directory, 'state', 'journal.sqlite')
  renameSync(file, `${file}.away`)
  test.world.host.elect(r1.id, 'primary')
  await test.condition('journal-unavailable')
  const startedMs = performance.now()
  const stopped = test.stop()
  renameSync(`${file}.away`, file)
  await stopped
  expect(performance.now() - startedMs).toBeLessThan(3000)
  await using second = await test.restart({ routers: [r1] })
  expect(await second.transitions('r1', seq)).toEqual(['backup -> primary'])
  expect(test.defects).toEqual([])
})

test('200 flaps of one router within a second are all recorded, in order, and the last state is right', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await test.role('backup')
  await test.role('backup', 'r2')
  const seq = test.journal.status.durableSeq
  const startedMs = performance.now()
  for (let flap = 0; flap < 100; flap++) {
    test.world.host.elect(r1.id, 'primary')
    test.world.host.elect(r1.id, 'backup')
    if (flap % 5 === 0) await new Promise(setImmediate)
  }
  test.world.host.elect(r1.id, 'primary')
  expect(performance.now() - startedMs).toBeLessThan(1000)
  await test.role('primary')
  const transitions = await test.transitions('r1', seq)
  expect(transitions.length).toBe(201)
  expect(new Set(transitions.filter((_, index) => index % 2 === 0))).toEqual(new Set(['backup -> primary']))
  expect(new Set(transitions.filter((_, index) => index % 2 === 1))).toEqual(new Set(['primary -> backup']))
  expect(await test.journal.verify()).toMatchObject({ ok: true })
  expect(test.router('r2').role).toBe('backup')
  expect(test.defects).toEqual([])
})

test('an operation that never ends for one router delays no other', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.intercept = (operation) =>
    'router' in operation && operation.router === r1.id ? new Promise(() => undefined) : undefined
  test.want([{ ...r1, priority: 90 }, r2])
  await test.agent.apply()
  const startedMs = performance.now()
  await test.role('backup', 'r2')
  test.world.host.elect(r2.id, 'primary')
  await test.role('primary', 'r2')
  expect(performance.now() - startedMs).toBeLessThan(1000)
  // The hung router's own kernel events are heard all the same.
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
})

test('operations of ten routers that never end delay no other', async () => {
  const hung = Array.from({ length: 10 }, (_, n) => routerSpec({ id: id(`h${String(n)}`), namespace: `h${String(n)}` }))
  await using test = await TestAgent.start()
  test.world.intercept = (operation) =>
    'router' in operation && operation.router.startsWith('h') ? new Promise(() => undefined) : undefined
  test.want([...hung, r2])
  await test.agent.apply()
  await until('r2 is backup', () => test.router('r2').role === 'backup', 3000)
})

test('a failure inside the work of one router is counted and shown, and disturbs neither it nor another', async () => {
  await using test = await TestAgent.start({ routers: [r1, r2] })
  await test.role('backup')
  await test.role('backup', 'r2')
  let failures = 0
  test.world.lets = (router) => {
    if (router === r1.id && ++failures <= 3) throw new Error('a defect')
    return true
  }
  await until('three failures', () => failures > 3)
  test.world.host.elect(r2.id, 'primary')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary', 'r2')
  await test.role('primary')
  expect(test.defects.length).toBe(3)
})

const conditionText = ({ change, code }: JsonObject): string => `${textOf(change)} ${textOf(code)}`
