import { demandAll, dropFromBounding, ownPrivileges, type Privileges } from '../linux/privileges.ts'

/** Without these something that a config may ask for cannot be done. */
const needed = [
  // Namespaces, what is in them, and what the kernel tells of all of them.
  ...['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BROADCAST'],
  // Processes of others, and a socket of the agent's.
  ...['CAP_KILL', 'CAP_SYS_PTRACE', 'CAP_CHOWN'],
  // Programs that become another user, and take a port below 1024.
  ...['CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE'],
]
/** What keepalived asks for, and runs without. */
const wished = ['CAP_SYS_NICE', 'CAP_IPC_LOCK', 'CAP_SYS_RESOURCE']

/** What keepward-host and all that it starts may have, and its unit gives. */
export const hostCapabilities: readonly string[] = [...needed, ...wished]

export interface Rights extends Privileges {
  /** What keepalived will have to do without. */
  readonly missing: readonly string[]
  /** What could not be given away. */
  readonly excess: readonly string[]
}

/**
 * Gives away for good what this process and its children do not need. The kernel bounds each thread by itself, and what this one may no more the
 * others still may: so the program starts anew where there was something, as the same process, and this does not return then. Throws
 * `permission-denied` when too little is there.
 */
export function keepToNeeded(): Rights {
  if (dropFromBounding(hostCapabilities)) process.execve?.(process.execPath, ourWords(), process.env)
  const privileges = ownPrivileges()
  demandAll(privileges, needed)
  const has = (name: string) => privileges.capabilities.includes(name)
  return {
    ...privileges,
    missing: wished.filter((name) => !has(name)),
    excess: privileges.capabilities.filter((name) => !hostCapabilities.includes(name)),
  }
}

const ourWords = (): string[] => [process.argv0, ...process.execArgv, ...process.argv.slice(1)]
