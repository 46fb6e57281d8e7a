import { KeepwardError } from '../base/error.ts'
import { readProc } from './proc.ts'

/** In the order of their numbers (linux/capability.h). */
const names = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`)

/** What a process may (capabilities(7)). */
export interface Privileges {
  readonly pid: number
  readonly uid: number
  readonly gid: number
  /** Those that it has in any of its sets but the bounding one. */
  readonly capabilities: readonly string[]
}

/** Of this process. Throws `internal` where /proc does not say. */
export function ownPrivileges(): Privileges {
  return readPrivileges(readProc('/proc/self/status') ?? '')
}

/** Of another process; undefined when it is not there. */
export function privilegesOf(pid: number): Privileges | undefined {
  const status = readProc(`/proc/${pid}/status`)
  return status === undefined ? undefined : readPrivileges(status)
}

/** From /proc/<pid>/status (proc_pid_status(5)). */
export function readPrivileges(status: string): Privileges {
  const field = (name: string): string => {
    const found = new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1]
    if (found !== undefined) return found
    throw new KeepwardError('internal', `/proc/self/status has no line ${name}`)
  }
  const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((name) => BigInt(`0x${field(name)}`))
  const all = sets.reduce((sum, set) => sum | set, 0n)
  return {
    pid: Number(field('Pid')),
    uid: Number(field('Uid')),
    gid: Number(field('Gid')),
    capabilities: names.filter((_, bit) => ((all >> BigInt(bit)) & 1n) === 1n),
  }
}

/** Throws `privileges-excess` for a process that is not root and can do some of what root can. */
export function demandNone({ uid, capabilities }: Pick<Privileges, 'uid' | 'capabilities'>): void {
  if (uid === 0 || capabilities.length === 0) return
  throw new KeepwardError('privileges-excess', `The agent runs as uid ${uid} and has ${capabilities.join(', ')}`, {
    hint: 'start it without capabilities (AmbientCapabilities= in its unit): what needs root, keepward-host does',
  })
}

/** Throws `permission-denied` when one is missing. */
export function demandAll({ capabilities }: Pick<Privileges, 'capabilities'>, wanted: readonly string[]): void {
  const missing = wanted.filter((one) => !capabilities.includes(one))
  if (missing.length === 0) return
  throw new KeepwardError('permission-denied', `keepward-host needs ${missing.join(', ')} and has not`, {
    hint: 'start it as root, with these in CapabilityBoundingSet= of its unit',
  })
}
