import { readdirSync } from 'node:fs'
import { openNamespace } from '../../src/linux/netns.ts'
import { openNetlink } from '../../src/linux/netlink-socket.ts'
import { commandLine, findByArgument } from '../../src/linux/process.ts'
import { takeSnapshot } from '../../src/linux/snapshot.ts'
import { openWatchSocket, watchKernel } from '../../src/linux/watch.ts'
import type { LabUnderTest } from './lab.ts'

/** What may run of services where the role is not, and must where it is; looked at by nobody but the kernel. */
export interface RoleWatch extends Disposable {
  /** What was seen that may not be. */
  readonly breaches: readonly string[]
  /** From now on an agent of the host cannot be expected to act; undefined: it can. */
  agentAway(host: string, away: boolean): void
  /** Nothing is demanded of the services of this router where it is primary. */
  hung(router: string): void
  /** `<host> <router> <program>` of all that run. */
  running(): readonly string[]
}

interface Place {
  readonly host: string
  readonly router: string
  primary: boolean
  sinceMs: number
}

const lookEveryMs = 100
/** What the project promises, and what the watcher itself may be late. */
const endMs = 1000 + 2 * lookEveryMs
/** Until a keepalived that has just been started says what it is: where none runs the role is unknown, which changes nothing. */
const speaksMs = 1000
/** Until all of a primary's services run, on a machine that does much else. */
const beginMs = 6000
const agentStartsMs = 6000

export function watchRoles(it: LabUnderTest, programs: readonly string[]): RoleWatch {
  const breaches: string[] = []
  const places = new Map<number, Place>()
  const agents = new Map(it.lab.hosts.map(({ name }) => [name, { away: false, sinceMs: performance.now() }]))
  const hung = new Set<string>()
  /** Until when a host is not known to be anything for a router, as no keepalived runs. */
  const unknownUntil = new Map<string, number>()
  /** Since when it has been missing: what dies is started again, and may be. */
  const missing = new Map<string, number>()
  const watch = watchKernel({
    fd: openWatchSocket(),
    onChange: (nsid, view) => {
      const place = places.get(nsid)
      if (place === undefined) return
      const primary = view.addresses.some(({ address }) => address.startsWith('169.254.0.'))
      if (primary !== place.primary) Object.assign(place, { primary, sinceMs: performance.now() })
    },
    onGone: () => undefined,
  })
  using socket = openNetlink()
  for (const { name: host } of it.lab.hosts) {
    for (const { id: router } of it.lab.routers) {
      if (!hasKeepalived(it, host, router)) throw new Error(`No keepalived of ${router} is seen on ${host}`)
      using namespace = openNamespace(it.namespace(host, router))
      const { nsid } = watch.track(() => takeSnapshot(socket, namespace.fd, 'all'))
      const primary = watch.view(nsid)?.addresses.some(({ address }) => address.startsWith('169.254.0.')) === true
      places.set(nsid, { host, router, primary, sinceMs: performance.now() })
    }
  }

  const running = () => [...new Set(servicesOf(it, programs))]
  // What the kernel said while the processes were looked at is heard first: a service of a role that has just come is none that stayed.
  const look = () => {
    const runs = new Set(running())
    setImmediate(judge, runs)
  }
  const judge = (runs: ReadonlySet<string>) => {
    const now = performance.now()
    for (const { host, router, primary, sinceMs } of places.values()) {
      const place = `${host} ${router}`
      if (!primary && !hasKeepalived(it, host, router)) unknownUntil.set(place, now + speaksMs)
      const agent = agents.get(host)
      const isAway = agent === undefined || agent.away || now - agent.sinceMs < agentStartsMs
      for (const program of programs) {
        const one = `${place} ${program}`
        const there = runs.has(one)
        const forMs = Math.round(now - Math.max(sinceMs, unknownUntil.get(place) ?? 0))
        if (isAway || there || !primary) missing.delete(one)
        if (isAway) continue
        if (!primary && there && forMs > endMs)
          breaches.push(`${program} of ${router} runs on ${host}, ${forMs} ms after its role went`)
        if (!primary || there || hung.has(router)) continue
        if (!missing.has(one)) missing.set(one, now)
        const missingMs = Math.round(now - (missing.get(one) ?? now))
        if (missingMs > beginMs)
          breaches.push(`${program} of ${router} does not run on ${host} for ${missingMs} ms, primary for ${forMs} ms`)
      }
    }
  }
  const timer = setInterval(look, lookEveryMs)
  return {
    breaches,
    running,
    agentAway(host, away) {
      agents.set(host, { away, sinceMs: performance.now() })
    },
    hung: (router) => void hung.add(router),
    [Symbol.dispose]: () => {
      clearInterval(timer)
      watch.close()
    },
  }
}

function hasKeepalived(it: LabUnderTest, host: string, router: string): boolean {
  return findByArgument(`${it.lab.host(host).directory}/run/routers/${router}/keepalived.conf`, 'keepalived').length > 0
}

function servicesOf(it: LabUnderTest, programs: readonly string[]): string[] {
  const form = new RegExp(`^${it.lab.shape.directory}/(h\\d+)/.*/(r\\d+)/`)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .flatMap((pid) => {
      const argv = commandLine(pid)
      const program = argv?.[0]
      if (
        argv === undefined ||
        program === undefined ||
        !programs.includes(program) ||
        argv.includes('-c') ||
        argv.includes('--configtest')
      )
        return []
      const found = argv.map((word) => form.exec(word)).find((match) => match !== null)
      return found === undefined ? [] : [`${found[1] ?? ''} ${found[2] ?? ''} ${program}`]
    })
}
