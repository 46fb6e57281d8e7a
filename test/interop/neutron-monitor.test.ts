import { join } from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { installNeutron, NeutronMonitor } from '../support/neutron.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest
const monitors: NeutronMonitor[] = []

beforeAll(() => {
  installNeutron()
}, 600_000)

afterEach(async () => {
  for (const monitor of monitors.splice(0)) await monitor.stop()
  await it.down()
})

async function monitorOn(host: string, run: string): Promise<NeutronMonitor> {
  const monitor = await NeutronMonitor.start({
    directory: join(it.lab.host(host).directory, run),
    router: 'r1',
    namespace: it.namespace(host),
    interface: 'ha0',
    marker: '169.254.0.1/24',
    statePath: join(it.lab.host(host).directory, 'state'),
  })
  monitors.push(monitor)
  return monitor
}

/** What the host's journal holds of the monitor: its claims, oldest first. */
async function saidBy(host: string, monitor: NeutronMonitor): Promise<string[]> {
  const events = await it.events(host, 'r1')
  return events
    .filter(({ kind, body }) => kind === 'claim' && body['pid'] === monitor.pid)
    .map(({ body }) => String(body['state']))
}

const silent = async (host: string) => (await it.router(host)).conditions.some(({ code }) => code === 'notifier-silent')

test('an unmodified Neutron monitor tells both directions of change, and each is taken', async () => {
  it = await labFor('nmon')
  const primary = await it.settled()
  const backup = it.other(primary)
  const [one, two] = await Promise.all([monitorOn(primary, 'mon'), monitorOn(backup, 'mon')])
  await until(
    'both said their first word',
    async () => {
      const words = [...(await saidBy(primary, one)), ...(await saidBy(backup, two))]
      return words.join() === 'primary,backup'
    },
    20_000,
  )
  await it.lab.killKeepalived(primary, 'r1')
  await until(
    'both said the change',
    async () => {
      return (await saidBy(primary, one)).includes('backup') && (await saidBy(backup, two)).includes('primary')
    },
    20_000,
  )
  await it.role(primary, 'backup')
  await it.role(backup, 'primary')
  await it.noCondition(primary)
  await it.noCondition(backup)
}, 90_000)

test('a monitor that became deaf while the server was down: the shown state is right, notifier-silent shows, a restarted one works', async () => {
  it = await labFor('nmon')
  const primary = await it.settled()
  const backup = it.other(primary)
  const deaf = await monitorOn(backup, 'mon')
  await until('it said its first word', async () => (await saidBy(backup, deaf)).join() === 'backup', 20_000)
  await it.lab.killAgent(backup)
  await it.lab.killKeepalived(primary, 'r1')
  await until('the other has the marker', () => it.addresses(backup, 'ha0').includes('169.254.0.1/24'), 10_000)
  // It notices within a second, finds nobody, and from then on says nothing, though it lives.
  await until('it has noticed', () => deaf.state === 'primary', 10_000)
  it.lab.startAgent(backup)
  await it.role(backup, 'primary')
  await until('notifier-silent shows', () => silent(backup), 15_000)
  expect(await it.router(backup)).toMatchObject({ role: 'primary' })
  expect(await saidBy(backup, deaf)).toEqual(['backup'])
  expect(deaf.lives).toBe(true)
  await deaf.stop()
  const restarted = await monitorOn(backup, 'mon2')
  await until('the new one speaks', async () => (await saidBy(backup, restarted)).join() === 'primary', 20_000)
  await until('notifier-silent is gone', async () => !(await silent(backup)), 10_000)
}, 90_000)
