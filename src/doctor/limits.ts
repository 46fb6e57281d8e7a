import { existsSync, readFileSync } from 'node:fs'
import { countText } from '../base/count.ts'
import { KeepwardError } from '../base/error.ts'
import { run } from '../linux/run.ts'
import { ok, unknown, warning, failed, type Answer, type Check } from './check.ts'

/** Room for the routers of the config. */
export const limitChecks: readonly Check[] = [
  {
    name: 'open files',
    wanted: '64, and 3 for each router',
    look: ({ config }) => judgeOpenFiles(readFileSync('/proc/self/limits', 'utf8'), config.settings.routers.length),
  },
  {
    name: 'processes',
    wanted: '64, and 2 for each router',
    look: ({ config }) => processes(config.settings.routers.length),
  },
  { name: 'clock', wanted: 'synchronised', look: clock },
  {
    name: 'group',
    wanted: 'the one that may read the control API',
    look: ({ config }) => group(config.settings.control.group),
  },
]

/** Reads /proc/<pid>/limits (proc_pid_limits(5)); Node.js has raised the soft limit to the hard one. */
export function judgeOpenFiles(limits: string, routers: number): Answer {
  const text = /^Max open files\s+(\S+)/m.exec(limits)?.[1]
  if (text === undefined) return unknown('/proc/self/limits does not say', 'mount /proc')
  const limit = text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text)
  const needed = 64 + 3 * routers
  const found = `${text}, ${countText(routers, 'router')} here`
  if (limit >= needed) return ok(found)
  return failed(found, `allow ${String(needed)} or more: LimitNOFILE= of the service, or ulimit -Hn`)
}

/** keepalived is two processes, and a namespace of its own, for each router. */
function processes(routers: number): Answer {
  const [pidMax, threadsMax, namespacesMax] = ['kernel/pid_max', 'kernel/threads-max', 'user/max_net_namespaces'].map(
    (key) => Number(readFileSync(`/proc/sys/${key}`, 'utf8')),
  )
  const room = Math.min(pidMax ?? 0, threadsMax ?? 0)
  const found = `${String(room)}, and ${String(namespacesMax)} namespaces; ${countText(routers, 'router')} here`
  if (room >= 64 + 2 * routers && (namespacesMax ?? 0) > routers) return ok(found)
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
