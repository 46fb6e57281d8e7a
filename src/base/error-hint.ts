import type { ErrorCode } from './error.ts'

/** What a person can do about an error of this code when the place that threw it knows nothing better (docs/errors.md). */
export const errorHints = {
  'agent-unreachable': 'look whether the agent runs (`systemctl status keepward-agent`), and at its log',
  'anchor-refused': 'run `keepward audit --verify`, and keep journal and anchors for inquiry',
  'command-failed': 'run the command that the message names by hand, and mend what it says',
  'command-missing': 'install the package that has it; `keepward doctor` lists all that is needed',
  'command-timeout': 'look what the machine waits for (load, disk, DNS); it is tried again where it can be',
  'config-changed': 'apply it again once it is as it shall be',
  'config-invalid': 'correct what is named; `keepward validate` checks without an agent',
  'config-key-unusable': 'make keys with `keepward config keygen DIR`, and put the public one where the message says',
  'config-not-kept': 'make room there, or make its directory writable for root; or remove the older copy',
  'config-signature-wrong': 'find out who changed the file; sign it again with `keepward config sign --key FILE`',
  'config-unreadable': 'name the file with -c, and make it one that root and the agent’s user can read',
  'config-unsafe': 'make it and every directory above it belong to root and be writable by no one else',
  'config-unsigned': 'sign it with `keepward config sign --key FILE`',
  'directory-unsafe': 'correct its owner and mode, or give Keepward a directory of its own',
  'file-failed': 'look at the path and the cause that the message names',
  'file-unsafe': 'find out who put it there, and move it aside',
  'hook-failed': 'run it by hand as its user, with the event that docs/services.md shows on stdin',
  'hook-refused': 'make it root’s, mode 0755, on a way of such directories without links; give it a user of its own',
  'hook-undeclared': 'apply the config, so that agent and keepward-host have the same',
  'host-failed': '`keepward explain ROUTER` shows what holds up each router',
  'host-unreachable': 'is keepward-host running?',
  'interface-missing': 'make the interface, or correct its name in the config',
  'interface-undeclared': 'correct its name, or declare it in the config of the router',
  internal: 'report it with the lines of the log around it',
  'journal-failed': 'see `keepward events --verify --file`, and the disk below it',
  'journal-full': 'free space, or mend the disk under paths.state; the newest state of each router is kept',
  'journal-too-new': 'install the release that wrote it, or a later one',
  'keepalived-failed': 'look for its last words in the system log',
  'keepalived-missing': 'install the package keepalived',
  'keepalived-refused-config': 'correct the router in the config by what keepalived says, and apply it',
  'keepalived-silent':
    '`keepward explain ROUTER` shows what is known of it; it is started again by itself when it died',
  'keepalived-too-old': 'install keepalived 2.2.0 or newer, built with VRRP and JSON',
  'key-invalid': 'make the key anew in the form that the message names, on all hosts that share it',
  'lab-failed': 'remove what is left of the lab with `keepward lab down`, and try again',
  'namespace-failed': 'see `ip netns`: /run/netns must be there, and this process needs CAP_SYS_ADMIN',
  'namespace-missing': 'it is made again by itself when a router of the config wants it',
  'native-missing': 'build it with native/build.sh',
  'nats-failed': 'is the server up, and are its address, the CA and the NKey those of this cluster?',
  'netlink-failed': 'the cause is the kernel’s word; compare with `ip link` and `ip address` in the namespace',
  'packet-filter-refused':
    'correct the file by what the message says, and apply the config again; what was in force before stays',
  'permission-denied': 'run it as root, or as the user and with the capabilities of the shipped unit',
  'privileges-excess': 'start it without capabilities, as the shipped unit does',
  'reaction-cancelled': 'nothing is to be done: the newer role is followed',
  'reaction-failed': 'what it said stands there, what it logged in the system log; it is tried again by itself',
  'reaction-refused': 'correct the router in the config by what the service says, and apply it',
  'records-removed': 'resume at the record that the message names, and take the present state as new',
  'report-refused': 'the message says why; the receiver has an older state of that router until its next change',
  'request-invalid': 'correct what the sentence names; `keepward help` lists commands and options',
  'resources-exhausted': 'raise the limit that the cause names (LimitNOFILE=, TasksMax=, MemoryMax= in the unit)',
  'role-change-not-accepted': 'run it in a maintenance window, with --accept-role-change',
  'router-unknown': '`keepward status` lists the routers',
  'secret-unavailable': 'look at the source that the message names: is it there, for the process that reads it?',
  'sink-unavailable':
    'the message says what is wrong: at the other end, on the way there, or in the settings of the sink',
  'state-in-use': 'stop the other process, or give this one a directory of its own',
  'subscriber-too-slow': 'resume at the record that the message names, and read faster',
  'vault-unavailable':
    'look whether Vault runs, is unsealed and can be reached from this host; it is tried again by itself',
} as const satisfies Record<ErrorCode, string>

/** What ran out, or refuses to be written, is the same wherever it shows: it goes before whatever else could be said. */
const resourceHints: Readonly<Record<string, string>> = {
  EDQUOT: 'raise the quota on its file system, or free space',
  EIO: 'the disk or device reports errors: see dmesg',
  EMFILE: 'raise the limit on open files of this process (LimitNOFILE= in its unit)',
  ENFILE:
    'the machine has no free file handle: raise fs.file-max, or find out who holds so many (/proc/sys/fs/file-nr)',
  ENOMEM: 'no memory is left to the machine, or to the control group of this process',
  ENOSPC: 'free space or inodes on its file system (df, df -i)',
  EROFS: 'its file system is read-only: see dmesg for why, then mount it for writing',
}

const permissionHints: Readonly<Record<string, string>> = {
  EACCES: 'look at its owner and mode, at those of every directory above it, and at what confines this process',
  EPERM: 'a capability is missing (`keepward doctor`), or the file is immutable (lsattr)',
}

/** The hint that an error shows: what ran out, else `own`, else what its cause says, else what its code says. */
export function hintFor(code: ErrorCode, own: string | undefined, cause: unknown): string {
  const errnos = errnosOf(cause)
  return find(resourceHints, errnos) ?? own ?? hintIn(cause) ?? find(permissionHints, errnos) ?? errorHints[code]
}

function find(hints: Readonly<Record<string, string>>, errnos: readonly string[]): string | undefined {
  return errnos.map((one) => hints[one]).find((hint) => hint !== undefined)
}

/** Every `code` of the causes, the outermost first. */
function errnosOf(cause: unknown): string[] {
  const found: string[] = []
  for (let at: unknown = cause; at instanceof Error && found.length < 5; at = at.cause)
    found.push('code' in at && typeof at.code === 'string' ? at.code : '')
  return found
}

/** One that a cause brought along from where it happened. */
const hintIn = (cause: unknown): string | undefined =>
  cause instanceof Error && 'hint' in cause && typeof cause.hint === 'string' ? cause.hint : undefined
