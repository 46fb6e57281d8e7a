import { expect, test } from 'vitest'
import { KeepwardError } from '../../src/base/error.ts'
import { RouterSet } from '../../src/agent/router-set.ts'
import type { KernelEvidence, ObservedInterface } from '../../src/router/evidence.ts'
import { TestAgent } from '../support/agent.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

// What nobody foresaw is thrown where the work of one router is done: it becomes a condition of that router, and no more.

const r1 = routerSpec()
const r2 = routerSpec({ id: id('r2'), namespace: 'r2' })

/** Evidence that cannot be read. */
const poisoned = (text: string): KernelEvidence => ({
  kind: 'present',
  get interfaces(): ReadonlyMap<string, ObservedInterface> {
    throw new Error(text)
  },
  named: true,
  asOf: { wallMs: 0, monoMs: 0 },
})

async function twoBackups(): Promise<TestAgent> {
  const made = await TestAgent.start({ routers: [r1, r2] })
  await made.role('backup')
  await made.role('backup', 'r2')
  return made
}

async function stillWorks(it: TestAgent): Promise<void> {
  it.world.host.elect(r2.id, 'primary')
  it.world.host.elect(r1.id, 'primary')
  await it.role('primary', 'r2')
  await it.role('primary')
  expect(it.router('r2').conditions.map(({ code }) => code)).not.toContain('router-defect')
}

test('an exception in the core becomes a condition of its router, which goes on and clears after a minute', async () => {
  await using it = await twoBackups()
  it.world.inject({ type: 'kernel', router: r1.id, evidence: poisoned('the core stumbles'), from: 'watch' })
  expect(await it.condition('router-defect', 'r1')).toBe('the core stumbles')
  expect(it.agent.status().health).toBe('degraded')
  expect(it.defects).toMatchObject([{ message: 'the core stumbles' }])
  await stillWorks(it)
  it.world.passTime(61_000)
  await it.noCondition('router-defect', 'r1')
  const changes = (await it.records({ router: 'r1' })).filter(({ body }) => body['code'] === 'router-defect')
  expect(changes.map(({ body }) => body['change'])).toEqual(['raised', 'cleared'])
})

test('an exception at every event of one router is counted, and never goes round in circles', async () => {
  await using it = await twoBackups()
  for (let n = 0; n < 100; n += 1)
    it.world.inject({ type: 'kernel', router: r1.id, evidence: poisoned('again'), from: 'watch' })
  await it.condition('router-defect', 'r1')
  expect(it.defects).toHaveLength(100)
  await stillWorks(it)
})

test('an exception where the answer of the host is taken in leaves nothing under way', async () => {
  await using it = await twoBackups()
  let asked = 0
  it.world.intercept = (operation) => {
    if (!('router' in operation) || operation.router !== r1.id) return undefined
    asked += 1
    throw new TypeError('no answer of any kind')
  }
  expect(await it.condition('evidence-missing', 'r1')).toContain('no answer of any kind')
  const before = asked
  await until('it is asked again', () => asked > before + 2)
  it.world.intercept = () => undefined
  await it.noCondition('evidence-missing', 'r1')
  await stillWorks(it)
})

test('a condition whose text fills no record is recorded cut short, and the agent answers on', async () => {
  await using it = await twoBackups()
  it.file = new KeepwardError('config-invalid', 'x'.repeat(50_000))
  await expect(it.agent.apply()).rejects.toMatchObject({ code: 'config-invalid' })
  expect(await it.condition('config-not-applied')).toHaveLength(50_000)
  const [raised] = (await it.records()).filter(({ body }) => body['code'] === 'config-not-applied')
  expect(raised?.body['text']).toHaveLength(4000)
  await stillWorks(it)
})

test('a past that cannot be read, or a look that fails as a router appears, keeps no router from being made', () => {
  const told: string[] = []
  const set = new RouterSet(
    { 'record-transition': () => undefined } as unknown as ConstructorParameters<typeof RouterSet>[0],
    {
      clock: () => ({ wallMs: 0, monoMs: 0 }),
      news: () => undefined,
      recorded: () => {
        throw new Error('past')
      },
      onDefect: (router, error) => told.push(`${router}: ${(error as Error).message}`),
      onAdded: () => {
        throw new Error('look')
      },
      onEnded: () => {
        throw new Error('end')
      },
    },
  )
  expect(set.want([r1, r2])).toMatchObject({ added: 2 })
  set.tell({ type: 'ended', router: r2.id })
  set.close()
  expect(set.queues.map((queue) => queue.id)).toEqual(['r1', 'r2'])
  expect(told.filter((text) => /past|look|end/.test(text))).toEqual([
    'r1: past',
    'r1: look',
    'r2: past',
    'r2: look',
    'r2: end',
  ])
})
