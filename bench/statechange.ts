import { join } from 'node:path'
import { peers } from './peers.ts'
import { rounded, type Bench, type Measured } from './result.ts'
import { summary, wanted } from './statechange/figures.ts'
import { measureIdentify } from './statechange/identify.ts'
import { measureIsolation, type Isolation } from './statechange/isolation.ts'
import { buildLoad, sendLoad } from './statechange/load.ts'
import { startOurs, stopOurs } from './statechange/ours.ts'
import { hasNeutron, startNeutron, type Server } from './statechange/peer.ts'
import { measureThroughput, practice, type Pace, type Throughput } from './statechange/throughput.ts'
import { median } from './statistics.ts'
import { withWorld, type World, type WorldHost } from './world.ts'

/** The state-change server beside Neutron's: as many notifications as it takes, and a sender beside the flood of another. */
export const statechange: Bench = async ({ runs, quick, say }) =>
  withWorld({ hosts: 1, advertisementInterval: '40s', vrrpVersion: 3 }, async (world) => {
    const [host] = world.hosts
    if (host === undefined) throw new Error('a world has a host')
    const pace = { rounds: runs ?? (quick ? 1 : 3), seconds: quick ? 0.5 : 4, say }
    const program = await buildLoad(world.directory)
    const live = await hasNeutron()
    if (!live) say('Neutron 21 is not installed (apt-get install neutron-l3-agent): its stored figures stand in')
    using neutron = live ? await startNeutron(join(world.directory, 'neutron')) : undefined
    const others = neutron === undefined ? [] : [neutron]
    const ours = await startOurs(world, host, 'defaults')
    const [own, peer] = await measureThroughput(program, [ours, ...others], pace)
    if (own === undefined) throw new Error('our server was measured')
    const floods = await measureFloods(world, host, program, others, pace)
    return compare(own, peer, floods, await measureIdentify(world.directory))
  })

interface Floods {
  /** Of a user whom nothing is allowed. */
  readonly refused: readonly Isolation[]
  /** Of one who may speak, up to its limits. */
  readonly allowed: readonly Isolation[]
  /** The peer asks nobody who he is. */
  readonly peer: readonly Isolation[]
}

async function measureFloods(
  world: World,
  host: WorldHost,
  program: string,
  others: readonly Server[],
  { rounds, seconds, say }: Pace,
): Promise<Floods> {
  const found = { refused: Array.of<Isolation>(), allowed: Array.of<Isolation>(), peer: Array.of<Isolation>() }
  const measure = async (what: keyof Floods, server: Server) => {
    const isolation = await measureIsolation(program, server, 2 * seconds)
    say(`${server.name}, flood ${what}: ${JSON.stringify(isolation)}`)
    found[what].push(isolation)
  }
  for (const what of ['refused', 'allowed'] as const) {
    await stopOurs(world, host)
    const ours = await startOurs(world, host, what)
    await sendLoad(program, ours.socket, practice)
    for (let round = 0; round < rounds; round++) {
      await measure(what, ours)
      for (const other of what === 'refused' ? others : []) await measure('peer', other)
    }
  }
  return found
}

/** The worse of the two floods counts. */
function compare(
  own: Throughput,
  peer: Throughput | undefined,
  floods: Floods,
  identify: { readonly defaultUs: number; readonly groupsUs: number },
): Measured {
  const ours = summary(own.rounds)
  const theirs = peer === undefined ? undefined : summary(peer.rounds)
  const refused = medians(floods.refused)
  const allowed = medians(floods.allowed)
  const floodP99Ratio = Math.max(refused.p99Ratio, allowed.p99Ratio)
  const generation = theirs === undefined ? 'g1 stored' : 'g1 live'
  const figures =
    theirs === undefined ? peers.statechange.g1 : { ...theirs.medians, floodP99Ratio: medians(floods.peer).p99Ratio }
  return {
    metrics: {
      ...ours.medians,
      floodP99Ratio,
      identifyUs: identify.defaultUs,
      identifyByGroupsUs: identify.groupsUs,
      failures: own.failures,
      floodRefused: refused,
      floodAllowed: allowed,
      spreadPercent: ours.spreadPercent,
      ...(theirs === undefined || peer === undefined
        ? {}
        : { peerSpreadPercent: theirs.spreadPercent, peerFailures: peer.failures, floodPeer: medians(floods.peer) }),
      rounds: own.rounds.length,
    },
    generation,
    peer: { [generation]: figures },
    limit: wanted(figures),
    ours: { ...ours.medians, floodP99Ratio, identifyUs: identify.defaultUs },
  }
}

function medians(rounds: readonly Isolation[]): Readonly<Record<keyof Isolation, number>> {
  const of = (read: (one: Isolation) => number) => rounded(median(rounds.map(read)))
  return {
    p99Ratio: of(({ p99Ratio }) => p99Ratio),
    quietP99Ms: of(({ quietP99Ms }) => quietP99Ms),
    floodedP99Ms: of(({ floodedP99Ms }) => floodedP99Ms),
    floodRps: of(({ floodRps }) => floodRps),
    failures: rounds.reduce((sum, { failures }) => sum + failures, 0),
  }
}
