import { existsSync, readFileSync } from 'node:fs'
import { countText } from '../base/count.ts'
import { KeepwardError } from '../base/error.ts'
import { run } from '../linux/run.ts'
import { wantedReactions } from '../router/reaction.ts'
import type { RouterSpec } from '../router/spec.ts'
import { ok, unknown, warning, failed, type Answer, type Check } from './check.ts'

/** Room for the routers of the config. */
export const limitChecks: readonly Check[] = [
  {
    name: 'open files',
    wanted: '64, and 3 for each router and each of its services',
    look: ({ config }) => judgeOpenFiles(readFileSync('/proc/self/limits', 'utf8'), loadOf(config.settings.routers)),
  },
  {
    name: 'processes',
    wanted: '64, and 2 for each router and each of its services',
    look: ({ config }) => processes(loadOf(config.settings.routers)),
  },
  { name: 'clock', wanted: 'synchronised', look: clock },
  {
    name: 'group',
    wanted: 'the one that may read the control API',
    look: ({ config }) => group(config.settings.control.group),
  },
]

/** What is to run on this host. */
interface Load {
  readonly routers: number
  /** That follow the roles of all of them. */
  readonly services: number
}

function loadOf(routers: readonly RouterSpec[]): Load {
  return { routers: routers.length, services: routers.flatMap(wantedReactions).length }
}

const loadText = ({ routers, services }: Load): string =>
  `${countText(routers, 'router')} and ${countText(services, 'service')} here`

/**
 * Reads /proc/<pid>/limits (proc_pid_limits(5)); Node.js has raised the soft limit to the hard one. keepward-host holds both processes of a
 * keepalived, and waits for one; it holds a service, waits for it, and keeps what it says.
 */
export function judgeOpenFiles(limits: string, load: Load): Answer {
  const text = /^Max open files\s+(\S+)/m.exec(limits)?.[1]
  if (text === undefined) return unknown('/proc/self/limits does not say', 'mount /proc')
  const limit = text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text)
  const needed = 64 + 3 * (load.routers + load.services)
  const found = `${text}, ${loadText(load)}`
  if (limit >= needed) return ok(found)
  return failed(found, `allow ${String(needed)} or more: LimitNOFILE= of the service, or ulimit -Hn`)
}

/** For each router keepalived, which is two processes, and a namespace; radvd, of the services the one with the most, is two as well. */
function processes(load: Load): Answer {
  const [pidMax, threadsMax, namespacesMax] = ['kernel/pid_max', 'kernel/threads-max', 'user/max_net_namespaces'].map(
    (key) => Number(readFileSync(`/proc/sys/${key}`, 'utf8')),
  )
  const room = Math.min(pidMax ?? 0, threadsMax ?? 0)
  const found = `${String(room)}, and ${String(namespacesMax)} namespaces; ${loadText(load)}`
  if (room >= 64 + 2 * (load.routers + load.services) && (namespacesMax ?? 0) > load.routers) return ok(found)
  return failed(found, 'raise kernel.pid_max, kernel.threads-max and user.max_net_namespaces (sysctl)')
}

/** The journal's wall times are compared between hosts. */
async function clock(): Promise<Answer> {
  // systemd-timesyncd.service(8) touches it when the clock has been set by a server.
  if (existsSync('/run/systemd/timesync/synchronized')) return ok('systemd-timesyncd says so')
  const fix = 'install and start a time service: systemd-timesyncd, chrony or ntpd'
  const said = await answerOf(['timedatectl', 'show', '-p', 'NTPSynchronized', '--value'])
  if (said === 'yes') return ok('timedatectl says so')
  if (said === 'no') return warning('not synchronised: times in the journals of two hosts cannot be compared', fix)
  return unknown('nothing here tells', fix)
}

async function group(name: string): Promise<Answer> {
  const said = await answerOf(['getent', 'group', name])
  if (said?.startsWith(`${name}:`) === true) return ok(name)
  return warning(`there is no group ${name}: only root can ask the agent`, `groupadd --system ${name}`)
}

/** What a command says on its standard output; undefined when it fails, is not there, or takes too long. */
async function answerOf(argv: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(argv, { timeoutMs: 3000 })
    return stdout.trim()
  } catch (error) {
    if (error instanceof KeepwardError && error.code.startsWith('command-')) return undefined
    throw error
  }
}
