import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientNamespace, innerNamespace } from '../../src/lab/topology.ts'
import type { PlanAnswer } from '../../src/agent/api.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

/** The agents are of a user of their own: all here goes by way of keepward-host, which reads the file itself. */
const agentUid = 65534
const directory = mkdtempSync('/run/kwt-rules-')
const file = `${directory}/r1.nft`
let it: LabUnderTest

/** Lets pings to an address in, and from the inner network none to it. */
const rules = (barred: string): string => `table inet filter {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "int0" ip daddr ${barred} counter drop
  }
}
`

beforeAll(async () => {
  writeFileSync(file, rules('198.51.100.250'))
  it = await labFor('rules', {
    innerNetwork: true,
    agentUid,
    config: (text) => `${text}
    packetFilter: { file: ${file} }
`,
    prepare: ({ shape }) => {
      // Without translation the client must know the way back.
      ip('-n', clientNamespace(shape.name), 'route', 'add', '10.9.0.0/24', 'via', '198.51.100.1')
      ip('-n', clientNamespace(shape.name), 'address', 'add', '198.51.100.251/24', 'dev', 'eth0')
    },
  })
})
afterAll(async () => {
  await it.down()
  rmSync(directory, { recursive: true })
})

function reaches(address: string): boolean {
  try {
    ip('netns', 'exec', innerNamespace(it.name), 'ping', '-c1', '-W1', '-q', address)
    return true
  } catch {
    return false
  }
}

/** Only the one that is not barred is reached. */
async function bars(barred: string, open: string): Promise<void> {
  await until(`${open} is reached`, () => reaches(open))
  expect(reaches(barred)).toBe(false)
}

const plan = (host: string) => it.get<PlanAnswer>(host, '/v1/plan')

const troubles = async (host: string) => (await it.status(host)).conditions.map(({ code }) => code)

test('the rules are in force on the primary, and after each of three failovers on the other', async () => {
  await bars('198.51.100.250', '198.51.100.251')
  for (let round = 0; round < 3; round++) {
    const primary = await it.settled()
    await it.lab.killKeepalived(primary, 'r1')
    await it.role(it.other(primary), 'primary')
    await bars('198.51.100.250', '198.51.100.251')
  }
})

test('an edit is in force once it is applied, not before, and not by a restart of either process', async () => {
  const primary = await it.settled()
  writeFileSync(file, rules('198.51.100.251'))
  await it.lab.killAgent(primary)
  it.lab.startAgent(primary)
  await it.role(primary, 'primary')
  await it.noCondition(primary)
  await bars('198.51.100.250', '198.51.100.251')
  process.kill(it.lab.rootHalfPid(primary), 'SIGKILL')
  await until('it is missed', async () => (await troubles(primary)).includes('host-unreachable'))
  it.lab.startRootHalf(primary)
  await until('it is there again', async () => (await troubles(primary)).length === 0)
  await it.noCondition(primary)
  // It puts all in force once more, since it cannot know what is: as it was applied, which is not what is planned.
  const planned = async () => (await plan(primary)).routers.flatMap(({ steps }) => steps.map(({ text }) => text))
  await until(
    'only the edit is to be done',
    async () => (await planned()).join() === 'filter packets by the file of its operator',
    30_000,
  )
  await bars('198.51.100.250', '198.51.100.251')
  await it.apply(primary)
  await it.noCondition(primary)
  await until('the new rules are in force', () => reaches('198.51.100.250'))
  await bars('198.51.100.251', '198.51.100.250')
})

test('a file that does not do is refused by plan and apply, and changes nothing', async () => {
  const primary = await it.settled()
  writeFileSync(file, `flush ruleset\n${rules('198.51.100.250')}`)
  for (const ask of [() => plan(primary), () => it.apply(primary)])
    await expect(ask()).rejects.toMatchObject({
      code: 'packet-filter-refused',
      message: expect.stringContaining('it flushes the ruleset') as string,
    })
  await bars('198.51.100.251', '198.51.100.250')
  const { conditions } = await it.status(primary)
  expect(conditions.map(({ code, text }) => `${code}: ${text}`)).toEqual([
    expect.stringMatching(/^config-not-applied: .*it flushes the ruleset/),
  ])
  writeFileSync(file, rules('198.51.100.250'))
  await it.apply(primary)
  await until('the last rules are in force', () => reaches('198.51.100.251'))
})

test('an agent that starts after a boot with a file that does not do runs the router without new rules, and says so', async () => {
  const primary = await it.settled()
  writeFileSync(file, 'table inet filter { nonsense }\n')
  // What a boot takes along.
  rmSync(join(it.lab.host(primary).directory, 'host/packet-filters/r1'))
  await it.lab.killAgent(primary)
  it.lab.startAgent(primary)
  expect(await it.condition(primary, 'packet-filter-missing')).toMatch(/is refused: nft does not take it: /)
  await bars('198.51.100.250', '198.51.100.251')
  writeFileSync(file, rules('198.51.100.250'))
  await it.apply(primary)
  await it.noCondition(primary)
})

test('nothing is left of it when the config names no file', async () => {
  const primary = await it.settled()
  it.editConfig(primary, (text) => text.replace(/    packetFilter:.*\n/, ''))
  await it.apply(primary)
  const tables = () => ip('netns', 'exec', it.namespace(primary), 'nft', 'list', 'tables')
  await until('its tables are gone', () => tables() === 'table inet keepward_vrrp\n')
  expect(reaches('198.51.100.250')).toBe(true)
})
