import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { inNamespace } from '../src/linux/in-namespace.ts'
import { openNamespace } from '../src/linux/netns.ts'
import { cleanEnvironment } from '../src/linux/run.ts'
import { eventStream } from '../src/report/nats/layout.ts'
import { memoryOf } from './cost.ts'
import { followBy } from './follow.ts'
import { diskFigures, measureChanges } from './latency.ts'
import { rounded, type Bench } from './result.ts'
import { median, percentile } from './statistics.ts'
import { stormRounds } from './storm.ts'
import { until } from './until.ts'
import { stateRoot, withQuietHost, type World, type WorldHost } from './world.ts'

const server = 'nats://127.0.0.1:4222'
const sinks = ['sinks:', `  - { name: fleet, nats: { servers: ['${server}'], plaintext: true } }`]

/** From an address change in a namespace to a consumer of the stream that NATS has stored it in. */
export const reports: Bench = async ({ runs, quick, say }) => {
  const routers = quick ? 10 : 200
  const changes = (runs ?? 1) * (quick ? 60 : 600)
  // An even number leaves every router as it was.
  const rounds = (runs ?? 1) * (quick ? 2 : 6)
  const found = await withQuietHost({ routers, sinks }, async (world, host) => {
    await using broker = await startBroker(world, host, say)
    world.start(host)
    await world.settle(host, routers, ['backup'])
    await wait(5000)
    const { followWith } = broker
    const storms = await stormRounds(world, host, { routers, rounds, say, followWith })
    const times = await measureChanges(world, host, { routers, changes, say, followWith })
    return { storms, times, agentMb: memoryOf(world.agentPid(host)).pssKb / 1024 }
  })
  const { toSubscriber, disk, lost } = found.times
  const lastMs = found.storms.map((round) => round.lastDurableMs)
  const ours = {
    p50Ms: rounded(percentile(toSubscriber, 50)),
    p99Ms: rounded(percentile(toSubscriber, 99)),
    stormLastMs: rounded(Math.max(...lastMs)),
  }
  const stormLost = found.storms.reduce((sum, round) => sum + round.lost, 0)
  const metrics = {
    ...ours,
    maxMs: rounded(Math.max(...toSubscriber)),
    stormMedianMs: rounded(median(lastMs)),
    agentMb: rounded(found.agentMb),
    ...{ changes: toSubscriber.length, lost, rounds: lastMs.length, stormLost, routers },
  }
  return { metrics, peer: { disk: diskFigures(disk) }, limit: { p50Ms: 3, p99Ms: 15, stormLastMs: 400 }, ours }
}

/** A nats-server on the loopback of the host, with all that an agent wants there. */
async function startBroker({ program }: World, { lab }: WorldHost, say: (text: string) => void) {
  const namespace = openNamespace(lab.namespace)
  const directory = mkdtempSync(join(stateRoot, 'keepward-bench-nats-'))
  const start = (words: readonly string[]) =>
    inNamespace(namespace.fd, () =>
      spawn(words[0] ?? '', words.slice(1), {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: cleanEnvironment,
        cwd: '/',
      }),
    )
  const child = start([
    '/usr/sbin/nats-server',
    '-a',
    '127.0.0.1',
    '-js',
    '-sd',
    directory,
    '-l',
    join(directory, 'log'),
  ])
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    namespace[Symbol.dispose]()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await until('NATS is set up', 15_000, async () => {
      const setup = start([program, 'nats', 'setup', '--server', server, '--plaintext'])
      const [status] = (await once(setup, 'exit')) as [number | null]
      return status === 0
    })
  } catch (error) {
    await end()
    throw error
  }
  say('NATS is set up')
  return {
    followWith: () => followBy('./report-subscriber.ts', [server, eventStream], namespace.fd),
    [Symbol.asyncDispose]: end,
  }
}
