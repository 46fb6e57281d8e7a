import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TestAgent } from '../support/agent.ts'
import { claimOf } from '../support/claim.ts'
import { ask } from '../support/http.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ id: id('r2'), namespace: 'keepward-r2' })

async function asBackup(routers = [r1]): Promise<TestAgent> {
  const test = await TestAgent.start({ routers })
  await test.role('backup')
  await until('the plan is carried out', async () => (await test.agent.plan()).routers.length === 0)
  return test
}

const claimRecords = async (test: TestAgent) => (await test.records()).filter(({ kind }) => kind === 'claim')

test('take() records who said what of a known router, and resolves once that is durable', async () => {
  await using test = await asBackup()
  const taken = test.agent.claims.take(claimOf(test, 'backup', { key: 'fleet', sequence: 12n, intervalMs: 30_000 }))
  expect(await taken).toMatchObject({ kind: 'claim', router: 'r1' })
  expect(await claimRecords(test)).toMatchObject([
    {
      router: 'r1',
      body: {
        decision: 'accepted',
        router: 'r1',
        state: 'backup',
        uid: 0,
        gid: 0,
        pid: 812,
        key: 'fleet',
        sequence: '12',
        intervalMs: 30_000,
        controlGroup: '/system.slice/neutron-l3-agent.service',
        count: 1,
      },
    },
  ])
  const { evidence } = await test.agent.explain('r1')
  expect(evidence.find(({ what }) => what === 'notifier: says')?.found).toBe('backup (uid 0, pid 812)')
})

test('take() of a claim that stands for several messages is no late record, although the first of them waited', async () => {
  await using test = await asBackup()
  const early = test.world.clock()
  test.world.passTime(500)
  await test.agent.claims.take(claimOf(test, 'backup', { count: 7, at: early }))
  expect(await claimRecords(test)).toMatchObject([{ late: false, body: { decision: 'gathered', count: 7 } }])
  expect(test.journal.status.kind).toBe('ok')
})

test('take() escapes whatever a terminal should not get from a sender', async () => {
  await using test = await asBackup()
  await test.agent.claims.take(claimOf(test, 'backup', { controlGroup: '/a\u001b[2J\u009b\u202eb\n.slice' }))
  const [record] = await claimRecords(test)
  expect(record?.body['controlGroup']).toBe('/a\\u{1b}[2J\\u{9b}\\u{202e}b\\u{a}.slice')
})

test('take() changes no role and looks at the kernel; a lasting difference is notifier-disagrees until they agree', async () => {
  await using test = await asBackup()
  test.world.passTime(2000)
  void test.agent.claims.take(claimOf(test, 'primary'))
  expect(await test.condition('notifier-disagrees', 'r1')).toMatch(
    /^notifier said primary [\d.]+s ago \(uid 0, pid 812\), kernel says backup since [\d.]+s$/,
  )
  expect(test.router().role).toBe('backup')
  expect(await test.transitions()).toEqual(['unknown -> backup'])
  void test.agent.claims.take(claimOf(test, 'backup'))
  await test.noCondition('notifier-disagrees', 'r1')
})

test('take() finds a change that the watch has missed', async () => {
  await using test = await TestAgent.start({ routers: [r1], intervalMs: 60_000 })
  await test.role('backup')
  test.world.hears = () => false
  test.world.host.elect(r1.id, 'primary')
  test.world.hears = () => true
  expect(test.router().role).toBe('backup')
  void test.agent.claims.take(claimOf(test, 'primary'))
  await test.role('primary')
})

test('notifier-silent is shown when the role changes and nothing comes, also after a restart and however much was recorded since', async () => {
  const first = await asBackup()
  await first.agent.claims.take(claimOf(first, 'backup'))
  for (let n = 0; n < 1100; n++) {
    first.journal.append({ kind: 'config', router: undefined, at: first.world.clock(), body: { change: 'loaded' } })
  }
  await using second = await first.restart({ routers: [r1] }, () => {
    first.world.host.elect(r1.id, 'primary')
  })
  await second.role('primary')
  second.world.passTime(3000)
  expect(await second.condition('notifier-silent', 'r1')).toMatch(
    /^notifier said backup [\d.]+s ago \(uid 0, pid 812\) and nothing since, kernel says primary since [\d.]+s$/,
  )
  void second.agent.claims.take(claimOf(second, 'primary'))
  await second.noCondition('notifier-silent', 'r1')
  expect(second.defects).toEqual([])
})

test('claims of unknown routers come back after a restart, however much was recorded since', async () => {
  const first = await asBackup()
  for (const router of ['r8', 'r9', 'r8'])
    await first.agent.claims.take(claimOf(first, 'primary', { router: id(router), at: first.world.clock() }))
  for (let n = 0; n < 1500; n++) {
    first.journal.append({ kind: 'config', router: undefined, at: first.world.clock(), body: { change: 'loaded' } })
  }
  await using second = await first.restart({ routers: [r1] })
  await until('they are heard again', () => second.agent.status().claims.length === 2)
  expect(second.agent.status().claims.map(({ router }) => router)).toEqual(['r9', 'r8'])
})

test('a claim of another boot is not heard again', async () => {
  const first = await asBackup()
  await first.agent.claims.take(claimOf(first, 'primary'))
  await first.agent.claims.take(claimOf(first, 'primary', { router: id('r9') }))
  await using second = await first.restart({ routers: [r1], boot: 'boot2' })
  await second.role('backup')
  await second.agent.claims.restore([r1.id])
  expect((await second.agent.explain('r1')).evidence.map(({ what }) => what)).not.toContain('notifier: says')
  expect(second.agent.status().claims).toEqual([])
})

test('a claim of an unknown router is kept apart, shown with its age, and is its notifier’s word once the router appears', async () => {
  await using test = await asBackup()
  await test.agent.claims.take(claimOf(test, 'primary', { router: r2.id }))
  expect(await claimRecords(test)).toMatchObject([{ router: undefined, body: { decision: 'unmatched', router: 'r2' } }])
  test.world.passTime(4000)
  const { claims, routers, health } = test.agent.status()
  expect(claims).toMatchObject([{ router: 'r2', state: 'primary', uid: 0, pid: 812, stale: false }])
  expect(claims[0]?.ageMs).toBeGreaterThanOrEqual(4000)
  expect(routers.map((one) => one.id)).toEqual(['r1'])
  expect(health).toBe('healthy')
  expect((await ask(test.socket, 'GET', '/v1/status')).json).toMatchObject({ claims: [{ router: 'r2' }] })
  test.want([r1, r2])
  await test.agent.apply()
  await test.role('backup', 'r2')
  expect(test.agent.status().claims).toEqual([])
  const { evidence } = await test.agent.explain('r2')
  expect(evidence.find(({ what }) => what === 'notifier: says')?.found).toBe('primary (uid 0, pid 812)')
  // It was said before the role was taken, so that a message is owed since then.
  test.world.passTime(3000)
  await test.condition('notifier-silent', 'r2')
})

test('a claim is stale after three intervals: its own, or else the one of the config', async () => {
  await using test = await asBackup()
  await test.agent.claims.take(claimOf(test, 'primary', { router: id('r8'), intervalMs: 10_000 }))
  await test.agent.claims.take(claimOf(test, 'primary', { router: id('r9') }))
  const stale = () => test.agent.status().claims.map((one) => one.stale)
  test.world.passTime(29_000)
  expect(stale()).toEqual([false, false])
  test.world.passTime(2000)
  expect(stale()).toEqual([true, false])
  test.world.passTime(148_000)
  expect(stale()).toEqual([true, false])
  test.world.passTime(2000)
  expect(stale()).toEqual([true, true])
})

test('the 1,025th unknown router pushes out the one that was silent longest', async () => {
  await using test = await asBackup()
  const { claims } = test.agent
  const router = (n: number) => id(`u${String(n)}`)
  for (let n = 1; n <= 1024; n++) void claims.take(claimOf(test, 'primary', { router: router(n) }))
  void claims.take(claimOf(test, 'backup', { router: router(1) }))
  void claims.take(claimOf(test, 'primary', { router: router(1025) }))
  const shown = claims.view(test.world.clock())
  expect(shown).toHaveLength(1024)
  expect(shown.map((one) => one.router)).not.toContain('u2')
  expect(shown.slice(-2)).toMatchObject([
    { router: 'u1', state: 'backup' },
    { router: 'u1025', state: 'primary' },
  ])
  expect(claims.figures.unmatched).toBe(1024)
})

test('a restart hears claims of unknown routers again, also of one that is known by then', async () => {
  const first = await asBackup()
  for (const router of ['r2', 'r8', 'r9'])
    await first.agent.claims.take(claimOf(first, 'primary', { router: id(router) }))
  await using second = await first.restart({ routers: [r1, r2] })
  await until('heard', () => second.agent.status().claims.length === 2)
  expect(second.agent.status().claims).toMatchObject([{ router: 'r8' }, { router: 'r9' }])
  const { evidence } = await second.agent.explain('r2')
  expect(evidence.map(({ what }) => what)).toContain('notifier: says')
})

test('take() while the journal cannot write acts at once, and is durable later', async () => {
  await using test = await asBackup()
  await test.records()
  const file = join(test.directory, 'state', 'journal.sqlite')
  renameSync(file, `${file}.away`)
  test.world.passTime(2000)
  const taken = test.agent.claims.take(claimOf(test, 'primary'))
  await test.condition('notifier-disagrees', 'r1')
  expect(test.agent.claims.canRecord()).toBe(false)
  renameSync(`${file}.away`, file)
  expect(await taken).toMatchObject({ kind: 'claim', late: true })
  await until('recovered', () => test.agent.claims.canRecord())
})

test('take() after the end of the journal rejects, and throws nothing', async () => {
  const test = await asBackup()
  await test.stop()
  await expect(test.agent.claims.take(claimOf(test, 'primary'))).rejects.toThrow('The journal is closed')
  await test[Symbol.asyncDispose]()
})

test('lookAt() asks the kernel at once, and then at most once in 100 ms for each router', async () => {
  await using test = await asBackup([r1, r2])
  await test.role('backup', 'r2')
  const looks: string[] = []
  test.world.lets = (router) => looks.push(router) > 0
  const startedMs = performance.now()
  while (performance.now() - startedMs < 450) {
    test.agent.claims.lookAt('all')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const spentMs = performance.now() - startedMs
  // The slow pass of this agent comes every 200 ms.
  const most = Math.ceil(spentMs / 100) + Math.ceil(spentMs / 200) + 1
  for (const router of ['r1', 'r2']) {
    const count = looks.filter((one) => one === router).length
    expect(count).toBeGreaterThanOrEqual(4)
    expect(count).toBeLessThanOrEqual(most)
  }
})

test('audit() records a refusal under its router only if that is known', async () => {
  await using test = await asBackup()
  const refused = {
    decision: 'refused',
    reason: 'sender-refused',
    sender: { pid: 99, uid: 1000, gid: 1000, groups: [] },
    controlGroup: '/user.slice/\u0007',
    router: r1.id,
    state: 'primary',
    key: undefined,
    count: 3,
  } as const
  test.agent.claims.audit(refused)
  test.agent.claims.audit({ ...refused, router: r2.id })
  const records = (await test.records()).filter(({ kind }) => kind === 'refusal')
  expect(records.map(({ router }) => router)).toEqual(['r1', undefined])
  expect(records[1]?.body).toEqual({
    decision: 'refused',
    reason: 'sender-refused',
    router: 'r2',
    state: 'primary',
    uid: 1000,
    gid: 1000,
    pid: 99,
    key: null,
    controlGroup: '/user.slice/\\u{7}',
    executable: null,
    executableBy: null,
    count: 3,
  })
})

test('GET /metrics has the unmatched claims and the waiting messages and connections as one series each', async () => {
  await using test = await asBackup()
  test.agent.claims.servedBy({ messagesWaiting: 5, connectionsWaiting: 7 })
  await test.agent.claims.take(claimOf(test, 'primary', { router: id('r9') }))
  const { text } = await ask(test.socket, 'GET', '/metrics')
  expect(text.match(/^keepward_state_change\{.*$/gm)).toEqual([
    'keepward_state_change{what="unmatched"} 1',
    'keepward_state_change{what="messagesWaiting"} 5',
    'keepward_state_change{what="connectionsWaiting"} 7',
  ])
})

test('noteTrouble() is a condition of the agent until the socket is there again', async () => {
  await using test = await asBackup()
  test.agent.noteTrouble('stateChange', 'no space left')
  expect(await test.condition('state-change-unavailable')).toBe('no space left')
  test.agent.noteTrouble('stateChange', undefined)
  await test.noCondition('state-change-unavailable')
})
