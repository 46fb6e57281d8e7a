import { codeOf, KeepwardError } from '../base/error.ts'
import { run } from '../linux/run.ts'

/** What the installed keepalived is and can do. */
export interface KeepalivedFeatures {
  readonly version: Version
  /** Words of `Config options:`, for example JSON, VRRP_AUTH. */
  readonly options: ReadonlySet<string>
  /** Real-time signal that makes it write its JSON dump. */
  readonly dumpSignal: number
}

export interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/** Asks the installed keepalived once. Throws `keepalived-missing`, `keepalived-too-old` or `keepalived-failed`. */
export async function probeFeatures(program = 'keepalived'): Promise<KeepalivedFeatures> {
  const { version, options } = parseVersion(await output([program, '--version']))
  if (compareVersions(version, oldest) < 0) {
    const message = `keepalived is version ${formatVersion(version)}, must be at least ${formatVersion(oldest)}`
    throw new KeepwardError('keepalived-too-old', message, { hint: installHint })
  }
  for (const option of ['VRRP', 'JSON']) {
    if (options.has(option)) continue
    const message = `keepalived ${formatVersion(version)} was built without ${option}, which is needed`
    throw new KeepwardError('keepalived-too-old', message, { hint: installHint })
  }
  return { version, options, dumpSignal: parseSignal(await output([program, '--signum=JSON'])) }
}

/** Reads what `keepalived --version` says. Throws `keepalived-failed` when it is something else. */
export function parseVersion(text: string): { readonly version: Version; readonly options: ReadonlySet<string> } {
  const lines = text.split('\n')
  const [, major, minor, patch] = /^Keepalived v(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[ ,]|$)/.exec(lines[0] ?? '') ?? []
  if (major === undefined || minor === undefined || patch === undefined) throw unreadable('--version')
  const label = 'Config options:'
  const options = lines.find((line) => line.startsWith(label))?.slice(label.length) ?? ''
  return {
    version: { major: Number(major), minor: Number(minor), patch: Number(patch) },
    options: new Set(options.split(/\s+/).filter((word) => word !== '')),
  }
}

export const formatVersion = ({ major, minor, patch }: Version): string => `${major}.${minor}.${patch}`

/** Negative when `a` is older than `b`. */
export const compareVersions = (a: Version, b: Version): number =>
  a.major - b.major || a.minor - b.minor || a.patch - b.patch

/**
 * Whether it signs adverts (`auth_hmac`). 2.4.0 to 2.4.2 changed what goes over the wire from one to the next, and could
 * leave two hosts primary when a clock stepped.
 */
export const offersHmac = ({ version, options }: KeepalivedFeatures): boolean =>
  compareVersions(version, firstWithHmac) >= 0 && options.has('VRRP_AUTH')

export const hmacHint =
  'install keepalived 2.4.3 or newer, built with VRRP_AUTH, on all hosts of the router first; until then, put WireGuard or IPsec under the HA link (docs/operations.md)'

const firstWithHmac: Version = { major: 2, minor: 4, patch: 3 }

/** The first with `vrrp_startup_delay`, per-address `no_track` and the JSON dump as this room reads them. */
const oldest: Version = { major: 2, minor: 2, patch: 0 }

const installHint = `install keepalived ${formatVersion(oldest)} or newer, built with JSON, as Debian 12 does: apt-get install keepalived`

/** The version goes to stderr, a signal number to stdout. */
async function output(argv: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(argv, { timeoutMs: 5000 })
    return stdout === '' ? stderr : stdout
  } catch (cause) {
    if (cause instanceof KeepwardError && cause.code === 'command-missing') {
      throw new KeepwardError('keepalived-missing', 'keepalived is not installed', { cause, hint: installHint })
    }
    throw new KeepwardError(codeOf(cause, 'keepalived-failed'), `Cannot ask keepalived: ${argv.join(' ')}`, { cause })
  }
}

function parseSignal(text: string): number {
  const signal = /^\d{1,2}$/.test(text.trim()) ? Number(text) : 0
  // signal(7): the real-time range, less the two that glibc keeps.
  if (signal < 34 || signal > 64) throw unreadable('--signum=JSON')
  return signal
}

function unreadable(argument: string): KeepwardError {
  return new KeepwardError('keepalived-failed', `Cannot understand what keepalived ${argument} says`)
}
