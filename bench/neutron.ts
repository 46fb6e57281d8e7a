import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../src/base/instant.ts'
import { Secret } from '../src/base/secret.ts'
import { openJournal } from '../src/journal/journal.ts'
import { SafeDir } from '../src/linux/safe-dir.ts'
import { openNeutronSink } from '../src/report/neutron/sink.ts'
import { Reporter } from '../src/report/reporter.ts'
import { heartbeat } from '../test/support/far-end.ts'
import { brokerUser, installRabbitmq, Rabbitmq } from '../test/support/rabbitmq.ts'
import { RpcServer } from '../test/support/rpc-server.ts'
import { rounded, type Bench } from './result.ts'
import { hasNeutron } from './statechange/peer.ts'
import { median } from './statistics.ts'
import { until } from './until.ts'

const host = 'network-1'

/** All routers of a host change their role at once: until a server of oslo.messaging has handled the last, ours and Neutron's own notifier. */
export const neutron: Bench = async ({ runs, quick, say }) => {
  installRabbitmq()
  const routers = Array.from(
    { length: quick ? 20 : 200 },
    (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
  )
  const rounds = runs ?? (quick ? 1 : 5)
  await using broker = await Rabbitmq.start()
  await using server = await RpcServer.start({ port: broker.port })
  const theirs = (await hasNeutron()) ? await measure(await startNotifier(broker, routers), server, rounds) : undefined
  say(`Neutron's own: ${JSON.stringify(theirs ?? 'not installed')}`)
  const ours = await measure(await startOurs(broker, routers), server, rounds)
  say(`ours: ${JSON.stringify(ours)}`)
  const metrics = { ...ours, routers: routers.length, rounds }
  return { metrics, peer: theirs === undefined ? {} : { 'g1 live': theirs }, limit: {}, ours }
}

/** Milliseconds from just before the first change until the last is handled. */
interface Found extends Readonly<Record<string, number>> {
  readonly backupMs: number
  readonly backupWorstMs: number
  readonly primaryMs: number
  readonly primaryWorstMs: number
}

interface Teller extends AsyncDisposable {
  readonly routers: number
  /** Have all routers take this role. Resolves with the Unix time just before the first. */
  change(role: 'primary' | 'backup'): Promise<number>
}

async function measure(started: Teller, server: RpcServer, rounds: number): Promise<Found> {
  await using teller = started
  const found = { primary: [] as number[], backup: [] as number[] }
  // Neutron 21.0.0 does not wait with the first primary of a router: the first round is for practice.
  for (let round = 0; round <= rounds; round++)
    for (const role of ['primary', 'backup'] as const) {
      const tookMs = await changeAll(teller, server, role)
      if (round > 0) found[role].push(tookMs)
      // Both have an interval in which they say nothing more.
      await wait(5000)
    }
  return {
    backupMs: rounded(median(found.backup)),
    backupWorstMs: rounded(Math.max(...found.backup)),
    primaryMs: rounded(median(found.primary)),
    primaryWorstMs: rounded(Math.max(...found.primary)),
  }
}

async function changeAll(teller: Teller, server: RpcServer, role: 'primary' | 'backup'): Promise<number> {
  const wanted = role === 'primary' ? 'active' : 'standby'
  const from = server.handled.length
  const beganMs = await teller.change(role)
  const told = () => server.handled.slice(from)
  const routersOf = () =>
    told().flatMap(({ states }) => Object.keys(states).filter((router) => states[router] === wanted))
  await until(`all are ${wanted}`, 60_000, () => new Set(routersOf()).size >= teller.routers)
  return Math.max(...told().map(({ atMs }) => atMs)) - beganMs
}

async function startOurs(broker: Rabbitmq, routers: readonly string[]): Promise<Teller> {
  const directory = mkdtempSync('/var/tmp/keepward-bench-neutron-')
  const dir = SafeDir.open(directory, { mode: 'any' })
  const journal = await openJournal({
    ...{ dir, name: 'journal.db', agent: host, boot: 'boot1', clock: systemClock },
    retain: { days: 30, sizeBytes: 64e6 },
  })
  const sink = openNeutronSink(
    {
      ...{ type: 'neutron', name: 'neutron', delivery: 'latest', repeatMs: 3_600_000 },
      ...{ caFile: undefined, clientCertificate: undefined, plaintext: true, replyQueue: 'transient' },
      ...{ brokers: [`amqp://127.0.0.1:${String(broker.port)}`], virtualHost: '/', user: brokerUser.user },
      ...{ password: { kind: 'file', path: '/none' }, host, method: 'call', exchange: 'neutron', topic: 'q-l3-plugin' },
      primaryDelayMs: 2000,
    },
    {
      ...{ agent: host, version: '0' },
      readSecret: () => Promise.resolve(new Secret(brokerUser.password)),
      readFile: () => '',
    },
  )
  const reporter = await Reporter.start({
    ...{ journal, sink, name: 'neutron', delivery: 'latest', repeatMs: 3_600_000 },
    routers: () => new Set(routers),
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })
  return {
    routers: routers.length,
    change(role) {
      const beganMs = Date.now()
      const body = { from: role === 'primary' ? 'backup' : 'primary', to: role }
      for (const router of routers) journal.append({ kind: 'transition', router, at: systemClock(), body })
      return Promise.resolve(beganMs)
    },
    async [Symbol.asyncDispose]() {
      await reporter[Symbol.asyncDispose]()
      await journal.close(2000)
      dir.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function startNotifier(broker: Rabbitmq, routers: readonly string[]): Promise<Teller> {
  const { user, password } = brokerUser
  const url = `rabbit://${user}:${password}@127.0.0.1:${String(broker.port)}/`
  const program = join(import.meta.dirname, 'neutron/notifier.py')
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '/usr/bin/python3', program, JSON.stringify({ url, host, routers })],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  )
  const said: string[] = []
  createInterface(child.stdout).on('line', (line) => said.push(line))
  await until('Neutron’s notifier is there', 60_000, () => said.includes('ready'))
  return {
    routers: routers.length,
    async change(role) {
      const before = said.length
      child.stdin.write(`${role}\n`)
      await until('it has begun', 10_000, () => said.length > before)
      return Number(said.at(-1))
    },
    [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      return Promise.resolve()
    },
  }
}
