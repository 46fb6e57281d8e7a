import { expect, test } from 'vitest'
import { TestAgent } from '../support/agent.ts'
import { id, routerSpec } from '../support/router.ts'
import { staysSo, until } from '../support/until.ts'

const r1 = routerSpec()

test('start() brings a router up to backup; its election is journaled with cause, order and hash chain', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  const records = await test.records()
  expect(records[0]).toMatchObject({
    seq: 1,
    kind: 'agent',
    router: undefined,
    agent: 'host1',
    boot: 'boot1',
    epoch: { start: 1 },
    body: {
      ...{ change: 'started', version: '1.2.3', configDigest: 'first', configKey: null },
      ...{ pid: 77, uid: 60_000, gid: 60_000, capabilities: 'CAP_NET_RAW CAP_BPF' },
    },
  })
  const transitions = records.filter(({ kind }) => kind === 'transition')
  expect(transitions.map(({ router, body }) => ({ router, ...body }))).toMatchObject([
    {
      router: 'r1',
      from: 'unknown',
      to: 'backup',
      cause: { text: 'marker 169.254.0.7/24 is not on ha0, keepalived says backup' },
    },
    {
      router: 'r1',
      from: 'backup',
      to: 'primary',
      cause: { kind: 'kernel', text: 'marker 169.254.0.7/24 is on ha0' },
    },
  ])
  expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index + 1))
  expect(records.slice(1).map(({ previous }) => previous)).toEqual(records.slice(0, -1).map(({ hash }) => hash))
  const ofRouter = records.filter(({ router }) => router === 'r1')
  expect(ofRouter.map(({ routerSeq }) => routerSeq)).toEqual(ofRouter.map((_, index) => index + 1))
  expect(await test.journal.verify()).toMatchObject({ ok: true, records: records.length })
  expect(test.defects).toEqual([])
})

test('start() makes namespace and interfaces, writes the config, then starts keepalived, each once', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  const changing = test.world.host.performed.filter((one) => /^(ensure|write|start|reload|remove)/.test(one))
  expect(changing).toEqual([
    'ensure-namespace r1',
    'ensure-filter r1',
    'ensure-interface r1 ha0',
    'ensure-interface r1 ext0',
    'write-config r1',
    'start-keepalived r1',
  ])
})

test('start() after an orderly stop records nothing of a router that did not change, and moves nothing', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  first.world.host.elect(r1.id, 'primary')
  const before = await first.role('primary')
  const world = first.world.host.print()
  const seq = first.journal.status.durableSeq
  await using second = await first.restart({ routers: [r1] })
  const after = await second.role('primary')
  await until(
    'everything was looked at',
    () => second.world.count('inspect r1') > 0 && second.agent.figures.queued === 0,
  )
  expect(after.sinceMs).toBe(before.sinceMs)
  expect(await second.since(seq)).toEqual([])
  expect(second.world.host.print()).toBe(world)
  expect(second.world.count('start-keepalived r1')).toBe(1)
  expect(second.agent.status().agent.start).toBe(2)
})

test('start() records what changed while no agent ran', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  const seq = first.journal.status.durableSeq
  await using second = await first.restart({ routers: [r1] }, () => {
    first.world.host.elect(r1.id, 'primary')
  })
  await second.role('primary')
  const [record] = await second.records({ router: 'r1', after: seq })
  expect(record?.body).toMatchObject({
    from: 'backup',
    to: 'primary',
    cause: { text: 'marker 169.254.0.7/24 is on ha0' },
  })
  expect(await second.transitions('r1', seq)).toEqual(['backup -> primary'])
  expect(record?.body['lastedMs']).toEqual(expect.any(Number))
})

test('start() after another boot counts from unknown, since no role outlives a boot', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  const seq = first.journal.status.durableSeq
  await using second = await first.restart({ routers: [r1], boot: 'boot2' })
  await second.role('backup')
  expect(await second.transitions('r1', seq)).toEqual(['unknown -> backup'])
  const [record] = await second.records({ router: 'r1', after: seq })
  expect(record).toMatchObject({ boot: 'boot2', body: { lastedMs: null } })
})

test('start() after SIGKILL goes on with the chain, adopts keepalived, and moves nothing', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  for (const says of ['primary', 'backup', 'primary'] as const) {
    first.world.host.elect(r1.id, says)
    await first.role(says)
  }
  const before = await first.records()
  const world = first.world.host.print()
  await using second = await first.killAndStart({ routers: [r1] })
  await second.role('primary')
  const after = await second.records()
  expect(after.slice(0, before.length)).toEqual(before)
  expect(after.slice(before.length)).toMatchObject([
    { kind: 'agent', body: { change: 'started' }, epoch: { start: 2 } },
  ])
  expect(await second.journal.verify()).toMatchObject({ ok: true })
  expect(second.world.host.print()).toBe(world)
})

test('start() removes what bears our mark and is wanted no more', async () => {
  const r2 = routerSpec({ id: id('r2'), namespace: 'keepward-r2' })
  const first = await TestAgent.start({ routers: [r1, r2] })
  await first.role('backup', 'r2')
  await using second = await first.restart({ routers: [r1] })
  await until('r2 is gone', () => !second.world.host.routers.has(r2.id))
  await second.role('backup')
  expect(second.world.count('remove-router r2')).toBe(1)
  expect(second.world.count('remove-router r1')).toBe(0)
})

test('start() moves a router whose namespace changed while no agent ran: removed first, then made', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  const made = first.world.host.performed.length
  await using second = await first.restart({ routers: [routerSpec({ namespace: 'elsewhere' })] })
  await until('r1 is made elsewhere', () => second.world.host.routers.get(r1.id)?.namespace === 'elsewhere')
  await second.role('backup')
  const after = second.world.host.performed.slice(made).filter((one) => /^(remove|ensure-n|start)/.test(one))
  expect(after).toEqual(['remove-router r1', 'ensure-namespace r1', 'start-keepalived r1'])
})

test('status() says stale, and the whole unknown, when the kernel has not been asked for 30 s', async () => {
  await using test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  expect(test.router()).toMatchObject({ stale: false })
  expect(test.agent.status().health).toBe('healthy')
  test.world.lets = () => false
  test.world.passTime(31_000)
  const late = test.router()
  expect(late).toMatchObject({ role: 'backup', stale: true })
  expect(late.ageMs).toBeGreaterThan(30_000)
  expect(test.agent.status().health).not.toBe('healthy')
  expect(await test.condition('evidence-missing', 'r1')).toMatch(/^the kernel was last asked 3\ds ago$/)
  test.world.lets = () => true
  await test.noCondition('evidence-missing', 'r1')
  expect(test.router()).toMatchObject({ stale: false })
})

test('status() shows a role only once it was seen since the start, whatever the journal says', async () => {
  const first = await TestAgent.start({ routers: [r1] })
  await first.role('backup')
  first.world.host.elect(r1.id, 'primary')
  await first.role('primary')
  first.world.lets = () => false
  await using second = await first.restart({ routers: [r1] })
  // The look at processes shows the kernel nothing; the role stays unseen.
  await staysSo('unknown', () => second.router().role === 'unknown', 300)
  expect(second.router()).toMatchObject({ cause: 'not enough has been seen yet' })
  second.world.lets = () => true
  await second.role('primary')
})

test('stop() leaves keepalived and addresses alone, and says so in the journal', async () => {
  const test = await TestAgent.start({ routers: [r1] })
  await test.role('backup')
  test.world.host.elect(r1.id, 'primary')
  await test.role('primary')
  const world = test.world.host.print()
  await using second = await test.restart({ routers: [r1] })
  expect(second.world.host.print()).toBe(world)
  const stops = (await second.records()).filter(({ body }) => body['change'] === 'stopped')
  expect(stops).toMatchObject([{ kind: 'agent', body: { change: 'stopped' } }])
})

test('stop() with teardown removes everything that was made', async () => {
  await using test = await TestAgent.start({ routers: [r1, routerSpec({ id: id('r2'), namespace: 'n2' })] })
  await test.role('backup')
  await test.role('backup', 'r2')
  await test.stop({ teardown: true })
  expect(test.world.host.print()).toBe('')
})
