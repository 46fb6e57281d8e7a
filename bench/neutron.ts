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

/**
 * All routers of a host change their role at once: until a server of oslo.messaging has handled the last, ours and Neutron's own notifier. Both are
 * there all the time and take turns on the one server, the first of a round in turn.
 */
export const neutron: Bench = async ({ runs, quick, say }) => {
  installRabbitmq()
  const routers = Array.from(
    { length: quick ? 20 : 200 },
    (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
  )
  const rounds = runs ?? (quick ? 1 : 5)
  await using broker = await Rabbitmq.start()
  await using server = await RpcServer.start({ port: broker.port })
  await using ours = await startOurs(broker, routers)
  await using theirs = (await hasNeutron()) ? await startNotifier(broker, routers) : undefined
  const taken = { ours: timesOf(ours), theirs: theirs && timesOf(theirs) }
  await measure(taken.theirs === undefined ? [taken.ours] : [taken.ours, taken.theirs], server, rounds)
  const [mine, peer] = [foundOf(taken.ours), taken.theirs && foundOf(taken.theirs)]
  say(`ours: ${JSON.stringify(mine)}, Neutron's own: ${JSON.stringify(peer ?? 'not installed')}`)
  const metrics = { ...mine, routers: routers.length, rounds }
  return { metrics, peer: peer === undefined ? {} : { 'g1 live': peer }, limit: {}, ours: mine }
}

/** Milliseconds from just before the first change until the last is handled. */
interface Found extends Readonly<Record<string, number>> {
  readonly backupMs: number
  readonly backupWorstMs: number
  readonly primaryMs: number
  readonly primaryWorstMs: number
}

interface Teller extends AsyncDisposable {
  /** As it calls itself. */
  readonly host: string
  readonly routers: number
  /** Have all routers take this role. Resolves with the Unix time just before the first. */
  change(role: 'primary' | 'backup'): Promise<number>
}

/** What each of its changes took, milliseconds. */
interface Times {
  readonly teller: Teller
  readonly primary: number[]
  readonly backup: number[]
}

const timesOf = (teller: Teller): Times => ({ teller, primary: [], backup: [] })

const foundOf = ({ primary, backup }: Times): Found => ({
  backupMs: rounded(median(backup)),
  backupWorstMs: rounded(Math.max(...backup)),
  primaryMs: rounded(median(primary)),
  primaryWorstMs: rounded(Math.max(...primary)),
})

async function measure(all: readonly Times[], server: RpcServer, rounds: number): Promise<void> {
  // Neutron 21.0.0 does not wait with the first primary of a router: the first round is for practice.
  for (let round = 0; round <= rounds; round++)
    for (const role of ['primary', 'backup'] as const) {
      for (const times of round % 2 === 0 ? all : all.toReversed()) {
        const tookMs = await changeAll(times.teller, server, role)
        if (round > 0) times[role].push(tookMs)
      }
      // Both have an interval in which they say nothing more.
      await wait(5000)
    }
}

async function changeAll(teller: Teller, server: RpcServer, role: 'primary' | 'backup'): Promise<number> {
  const wanted = role === 'primary' ? 'active' : 'standby'
  const from = server.handled.length
  const beganMs = await teller.change(role)
  const told = () => server.handled.slice(from).filter(({ host }) => host === teller.host)
  const routersOf = () =>
    told().flatMap(({ states }) => Object.keys(states).filter((router) => states[router] === wanted))
  await until(`all are ${wanted}`, 60_000, () => new Set(routersOf()).size >= teller.routers)
  return Math.max(...told().map(({ atMs }) => atMs)) - beganMs
}

async function startOurs(broker: Rabbitmq, routers: readonly string[]): Promise<Teller> {
  const host = 'network-1'
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
  // What is told once more after the connection is no part of it.
  await wait((sink.settlesMs ?? 0) + 1000)
  return {
    host,
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
  const host = 'network-2'
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
    host,
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
