import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { formatVersion, hmacHint, offersHmac, probeFeatures, type KeepalivedFeatures } from '../keepalived/features.ts'
import { candidates } from '../linux/child.ts'
import { networkNamespaceOf } from '../linux/process.ts'
import { run } from '../linux/run.ts'
import { services } from '../reactions/services.ts'
import { wantedReactions } from '../router/reaction.ts'
import type { RouterSpec } from '../router/spec.ts'
import { failed, ok, unknown, warning, type Answer, type Check } from './check.ts'
import type { Subject } from './subject.ts'

/** Other people's programs: the one that is needed, and those that may be in the way. */
export const softwareChecks: readonly Check[] = [
  { name: 'keepalived', wanted: '2.2.0 or newer, with JSON', look: keepalived },
  { name: 'services', wanted: 'the programs that routers want for what follows the role', look: programs },
  { name: 'other keepalived', wanted: 'none in this network namespace, none at boot', look: otherKeepalived },
  {
    name: 'network manager',
    wanted: 'leaves kw* interfaces alone',
    look: () => judgeManagers(processNames(), networkSettings),
  },
]

function programs({ config }: Subject): Answer {
  return judgePrograms(config.settings.routers, (program) => !candidates(program).some((path) => existsSync(path)))
}

async function keepalived({ config }: Subject): Promise<Answer> {
  return judgeKeepalived(await probeFeatures(), config.settings.routers)
}

/** New enough to run routers; whether it can sign the adverts of those that want it is told apart. */
export function judgeKeepalived(features: KeepalivedFeatures, routers: readonly RouterSpec[]): Answer {
  const { version, options, dumpSignal } = features
  const authentication = options.has('VRRP_AUTH') ? '' : ', without VRRP_AUTH'
  const found = `${formatVersion(version)} with JSON (signal ${String(dumpSignal)})${authentication}`
  const signing = routers.filter(({ authentication: { kind } }) => kind === 'hmac').map(({ id }) => id)
  if (signing.length === 0 || offersHmac(features)) return ok(found)
  return failed(`${found}; it has no hmac, which ${signing.join(', ')} want`, hmacHint)
}

/** Those that the routers of the config want in some role. `missing` says of a program that it is not there. */
export function judgePrograms(routers: readonly RouterSpec[], missing: (program: string) => boolean): Answer {
  const wanted = new Set(routers.flatMap((spec) => wantedReactions(spec).map((name) => services[name].program)))
  if (wanted.size === 0) return ok('no router wants one')
  const absent = [...wanted].filter(missing)
  if (absent.length === 0) return ok([...wanted].join(', '))
  return failed(`no ${absent.join(', no ')}`, `apt install ${absent.join(' ')}`)
}

async function otherKeepalived(): Promise<Answer> {
  const own = networkNamespaceOf(process.pid)
  const running = pids().filter((pid) => nameOf(pid) === 'keepalived')
  const where = running.map(namespaceOf)
  const here = running.filter((_, at) => where[at] === own)
  if (here.length > 0) {
    const found = `runs as ${here.map((pid) => `pid ${String(pid)}`).join(', ')}`
    return warning(found, 'systemctl disable --now keepalived, unless it speaks for other addresses and other VRIDs')
  }
  // Those of our routers run in namespaces of their own.
  if (where.includes('hidden'))
    return unknown('one runs, and where may not be seen', 'run it as root: sudo keepward doctor')
  return judgeService(await serviceState(), hasText('/etc/keepalived/keepalived.conf'))
}

/** `state`: what systemctl(1) is-enabled says; undefined without systemctl. Debian's service starts with a config only. */
export function judgeService(state: string | undefined, configured: boolean): Answer {
  if (state === undefined) return ok('none runs; no systemd to start one')
  if (!state.startsWith('enabled')) return ok(`none runs; its service is ${state}`)
  if (!configured) return ok('none runs; its service is enabled, but has no config')
  return warning(
    'its service is enabled: at the next boot it may claim the same addresses',
    'systemctl disable keepalived',
  )
}

/** Of those that run, the ones that could take our interfaces, and are not told not to. */
export function judgeManagers(running: ReadonlySet<string>, settings: (directory: string) => string): Answer {
  const meddling = managers.filter(
    ({ process, directories, exempt }) =>
      running.has(process) && !directories.some((one) => exempt.test(settings(one))),
  )
  if (meddling.length === 0) return ok('none that takes them')
  const found = `${meddling.map(({ name }) => name).join(' and ')} runs and may take them, their addresses and their bridge`
  return warning(found, meddling.map(({ fix }) => fix).join('; '))
}

/** comm holds 15 bytes at most (proc_pid_comm(5)). */
const managers = [
  {
    name: 'systemd-networkd',
    process: 'systemd-network',
    directories: ['/etc/systemd/network', '/run/systemd/network'],
    exempt: /^Name=.*\bkw\*[^]*?^Unmanaged=(yes|true|1)/m,
    fix: 'write [Match] Name=kw* and [Link] Unmanaged=yes to /etc/systemd/network/05-keepward.network',
  },
  {
    name: 'NetworkManager',
    process: 'NetworkManager',
    directories: ['/etc/NetworkManager', '/etc/NetworkManager/conf.d'],
    exempt: /^unmanaged-devices=.*interface-name:kw\*/m,
    fix: 'write [keyfile] unmanaged-devices=interface-name:kw* to /etc/NetworkManager/conf.d/keepward.conf',
  },
] as const

async function serviceState(): Promise<string | undefined> {
  try {
    const options = { timeoutMs: 3000, exitCodes: [0, 1, 3, 4] }
    const { stdout } = await run(['systemctl', 'is-enabled', 'keepalived.service'], options)
    return stdout.trim() || 'not there'
  } catch (error) {
    if (error instanceof KeepwardError && error.code === 'command-missing') return undefined
    throw error
  }
}

const processNames = (): Set<string> => new Set(pids().map(nameOf))
const pids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/comm`, 'utf8').trim()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return ''
    throw error
  }
}

/** Undefined for a process that ended. */
function namespaceOf(pid: number): number | 'hidden' | undefined {
  try {
    return networkNamespaceOf(pid)
  } catch (error) {
    if (error instanceof KeepwardError && error.code === 'permission-denied') return 'hidden'
    throw error
  }
}

const hasText = (path: string): boolean => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0

function networkSettings(directory: string): string {
  if (!existsSync(directory)) return ''
  const files = readdirSync(directory, { withFileTypes: true }).filter(
    (entry) => entry.isFile() && /\.(conf|network)$/.test(entry.name),
  )
  return files.map(({ name }) => readFileSync(`${directory}/${name}`, 'utf8')).join('\n')
}
