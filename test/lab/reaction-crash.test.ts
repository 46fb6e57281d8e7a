import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, test } from 'vitest'
import { commandLine, findByArgument, processStat } from '../../src/linux/process.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { staysSo, until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('rcrash', {
    config: (text) => `${text}
      - { address: "fe80::1/64", interface: ext0 }
      - { address: 169.254.169.254/32, interface: ext0 }
    routerAdvertisements: [{ interface: ext0, prefixes: [{ prefix: "2001:db8:a::/64" }] }]
    metadata: { socket: /run/kwt-nobody }
`,
  })
})
afterAll(async () => {
  await it.down()
})

/** radvd is two processes, of which one is the other's child; what only tests a config is none. */
function pidsOf(host: string, file: string): number[] {
  const pids = findByArgument(`${it.lab.host(host).directory}/run/routers/r1/${file}`)
  const tests = (pid: number) => commandLine(pid)?.some((word) => word === '-c' || word === '--configtest')
  return pids.filter((pid) => !pids.includes(processStat(pid)?.parentPid ?? 0) && tests(pid) === false)
}

/** How many of each run there. */
const services = (host: string): number[] => ['radvd.conf', 'metadata.cfg'].map((file) => pidsOf(host, file).length)

// What a reaction does in its milliseconds: files, test, end of the one before, start, record, 150 ms of proof; then the next one.
test.each([0, 15, 60, 150, 250, 400])(
  'an agent that is killed %i ms after the role came, in the middle of what follows it, ends with one of each service, and none elsewhere',
  async (afterMs) => {
    const primary = await it.settled()
    const heir = it.other(primary)
    await until('services stand', () => String([services(primary), services(heir)]) === '1,1,0,0')
    await it.noCondition(primary)
    await it.lab.killKeepalived(primary, 'r1')
    await until('the heir has the address', () => it.addresses(heir, 'ha0').includes('169.254.0.1/24'))
    await wait(afterMs)
    await it.lab.killAgent(heir)
    await wait(100)
    it.lab.startAgent(heir)
    await it.answers(heir)
    await it.role(heir, 'primary')
    await it.role(primary, 'backup')
    await until(
      'one of each runs on the heir, none elsewhere',
      () => String([services(heir), services(primary)]) === '1,1,0,0',
    )
    await it.noCondition(heir)
    const pids = () => String([pidsOf(heir, 'radvd.conf'), pidsOf(heir, 'metadata.cfg')])
    await until('each is known to follow the role', async () => {
      const { evidence } = await it.explain(heir)
      const follows = evidence.filter(({ what }) => what.startsWith('follows: '))
      return follows.length === 2 && follows.every(({ found }) => found.startsWith('primary'))
    })
    const settled = pids()
    await staysSo('nothing is started anew, or beside it', () => pids() === settled, 500)
  },
)

test.each([0, 40])(
  'an agent that is killed %i ms after the role went leaves no service behind once it is back',
  async (afterMs) => {
    const primary = await it.settled()
    const heir = it.other(primary)
    await until('services stand', () => String(services(primary)) === '1,1')
    await it.noCondition(primary)
    await it.lab.killKeepalived(primary, 'r1')
    await until('the address has gone', () => !it.addresses(primary, 'ha0').includes('169.254.0.1/24'))
    await wait(afterMs)
    await it.lab.killAgent(primary)
    it.lab.startAgent(primary)
    await it.role(heir, 'primary')
    await until('none runs here, one of each there', () => String([services(heir), services(primary)]) === '1,1,0,0')
    await it.noCondition(primary)
  },
)
