import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { loadConfig } from '../src/config/load.ts'
import { openNamespace } from '../src/linux/netns.ts'
import { run } from '../src/linux/run.ts'
import { spawnDetached } from '../src/linux/spawn-detached.ts'
import { services } from '../src/reactions/services.ts'
import { wantedReactions, type ReactionName } from '../src/router/reaction.ts'
import type { RouterSpec } from '../src/router/spec.ts'
import { openMarkers, type Marker } from './marker.ts'
import { rounded, type Bench } from './result.ts'
import { routerId, type RouterPlan } from './routers.ts'
import { percentile } from './statistics.ts'
import { until } from './until.ts'
import { withQuietHost, type World, type WorldHost } from './world.ts'

/** From the kernel's change of a role to the end of each reaction, one router and many at once, beside the same programs started bare. */
export const reactions: Bench = async ({ runs, quick, say }) => {
  const metrics: Record<string, Record<string, number>> = {}
  const ours: Record<string, number> = {}
  const bare: Record<string, number> = {}
  for (const [routers, rounds] of [
    [1, quick ? 3 : (runs ?? 1) * 40] as const,
    [quick ? 5 : 100, runs ?? (quick ? 2 : 3)] as const,
  ]) {
    const found = await withQuietHost({ routers, services: true }, async (world, host) => {
      world.start(host)
      await world.settle(host, routers, ['backup'])
      const markers = openMarkers(world, host, routers)
      try {
        const done = await flips(host, markers, rounds, say)
        await wait(2000)
        return { done, started: await startBare(world, host, routers, rounds) }
      } finally {
        for (const marker of markers) marker.close()
      }
    })
    for (const [what, times] of found.done) {
      const key = `${what}, ${routers} at once`
      metrics[key] = { p50Ms: rounded(percentile(times, 50)), p99Ms: rounded(percentile(times, 99)), of: times.length }
      Object.assign(ours, { [`${key} p50Ms`]: percentile(times, 50), [`${key} p99Ms`]: percentile(times, 99) })
    }
    for (const [reaction, times] of found.started) {
      const key = `${reaction} primary, ${routers} at once`
      Object.assign(bare, {
        [`${key} p50Ms`]: rounded(percentile(times, 50)),
        [`${key} p99Ms`]: rounded(percentile(times, 99)),
      })
    }
  }
  return { metrics, peer: { bare }, limit: {}, ours }
}

type Times = ReadonlyMap<string, readonly number[]>

/** Each marker to `primary` and back, all of a round at once; milliseconds until the agent says that a reaction is done. */
async function flips(
  host: WorldHost,
  markers: readonly Marker[],
  rounds: number,
  say: (text: string) => void,
): Promise<Times> {
  const spec = specOf(host)
  const wanted = wantedReactions(spec).length + spec.hooks.length
  const times = new Map<string, number[]>()
  for (let count = 0; count < 2 * rounds; count++) {
    const from = readFileSync(host.lab.log).length
    const changed = new Map(markers.map((marker) => [marker.router, { wallMs: Date.now(), ...marker.flip() }]))
    let ends: End[] = []
    await until(
      'every reaction is done',
      60_000,
      () => (ends = endsSince(host, from)).length >= wanted * markers.length,
      100,
    )
    for (const { router, what, wallMs } of ends) {
      const change = changed.get(router)
      // The first start of a program reads it from the disk.
      if (change !== undefined && count >= 2) times.set(what, [...(times.get(what) ?? []), wallMs - change.wallMs])
    }
    await wait(1200)
  }
  say(
    `${markers.length} at once: ${[...times].map(([what, all]) => `${what} p50 ${percentile(all, 50)} ms`).join(', ')}`,
  )
  return times
}

interface End {
  readonly router: string
  /** The reaction and its stance. */
  readonly what: string
  readonly wallMs: number
}

/** Of a reaction or of a hook, in the agent's log. */
interface Line {
  readonly router: string
  readonly time: string
  readonly reaction?: string
  readonly stance?: string
  readonly role?: string
}

function endsSince(host: WorldHost, from: number): End[] {
  return readFileSync(host.lab.log, 'utf8')
    .slice(from)
    .split('\n')
    .filter((line) => /"(?:reaction|hook) done"/.test(line) && line.endsWith('}'))
    .map((line) => {
      const { router, reaction = 'hook', stance, role, time } = JSON.parse(line) as Line
      return { router, what: `${reaction} ${stance ?? role ?? ''}`, wallMs: Date.parse(time) }
    })
}

/** The same programs with the same files and the same check of them, in the same namespaces, by nobody but this bench. */
async function startBare(
  world: World,
  host: WorldHost,
  routers: number,
  rounds: number,
): Promise<ReadonlyMap<ReactionName | 'hook', number[]>> {
  const found = new Map<ReactionName | 'hook', number[]>()
  const spec = specOf(host)
  for (const reaction of wantedReactions(spec)) {
    for (let round = 0; round <= rounds; round++) {
      const times = await Promise.all(
        Array.from({ length: routers }, (_, index) => startOne(reaction, spec, world.plan(host, index + 1), host)),
      )
      if (round > 0) found.set(reaction, [...(found.get(reaction) ?? []), ...times])
    }
  }
  for (const { program } of spec.hooks) {
    for (let round = 0; round <= rounds; round++) {
      const times = await Promise.all(Array.from({ length: routers }, () => timeOf(() => run([program]))))
      if (round > 0) found.set('hook', [...(found.get('hook') ?? []), ...times])
    }
  }
  return found
}

/**
 * Milliseconds until it stands and has lived for as long as the agent demands, less that. One that runs whatever the role, and is
 * told of it, is the agent's own, told once more.
 */
async function startOne(
  reaction: ReactionName,
  spec: RouterSpec,
  { n, namespace: name }: RouterPlan,
  { run: directory }: WorldHost,
): Promise<number> {
  using namespace = openNamespace(name)
  const running = services[reaction].plan(spec, 'primary', (file) => join(directory, 'routers', routerId(n), file))
  if (running?.tell !== undefined) {
    const { argv } = running.tell
    return await timeOf(() => run(argv, { namespaceFd: namespace.fd }))
  }
  const home = mkdtempSync('/dev/shm/keepward-bare-')
  try {
    const plan = services[reaction].plan(spec, 'primary', (file) => join(home, file))
    if (plan === undefined) throw new Error(`${reaction} has no plan for a primary`)
    const began = performance.now()
    for (const [file, text] of plan.files) writeFileSync(join(home, file), text, { mode: 0o600 })
    if (plan.check !== undefined) await run(plan.check, { namespaceFd: namespace.fd })
    const { process } = await spawnDetached(plan.argv, { namespaceFd: namespace.fd })
    const tookMs = performance.now() - began
    process.signal('SIGKILL')
    await process.ended(2000)
    process.close()
    return tookMs
  } finally {
    rmSync(home, { recursive: true })
  }
}

const specOf = (host: WorldHost): RouterSpec => {
  const [spec] = loadConfig(readFileSync(host.lab.config, 'utf8'), 'bench', 'bench').routers
  if (spec === undefined) throw new Error('a bench has a router')
  return spec
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
