import type { ErrorCode } from '../../../src/base/error.ts'
import type { ConditionCode } from '../../../src/router/condition.ts'

/** The one source of docs/faults.md and of test/root/faults-*.test.ts: what is made to fail, and what must be seen then. */
export interface Failing {
  readonly call: string
  readonly errno: Errno
  /** A part of the path, or the kind of thing. */
  readonly on: string
}

export type Errno =
  'EACCES' | 'EAGAIN' | 'EIO' | 'EMFILE' | 'ENFILE' | 'ENOENT' | 'ENOMEM' | 'ENOSPC' | 'EPERM' | 'EROFS'

/** `root agent`: one that is root and needs no other process. */
export type Who = 'root agent' | 'agent' | 'host'

interface Row {
  readonly where: string
  readonly call: string
  readonly on: string
  /** The call fails with each in turn. */
  readonly errnos: readonly Errno[]
  readonly who: readonly Who[]
}

/** At the start: it ends with status 4 and the code, or starts and shows the condition. */
export interface StartRow extends Row {
  readonly shown: { readonly code: ErrorCode } | { readonly condition: ConditionCode } | 'nothing'
}

/** What is done once the calls fail, so that somebody makes them. */
export type Provocation = 'apply' | 'change' | 'kill keepalived' | 'message' | 'remove socket' | 'restart agent'

/** While a router runs as primary. */
export interface RunRow extends Row {
  readonly provoked: Provocation
  readonly shown: ConditionCode | 'nothing'
  readonly works: string
}

const alone: readonly Who[] = ['root agent']
const root: readonly Who[] = ['host']
const both: readonly Who[] = ['root agent', 'host']
const agents: readonly Who[] = ['root agent', 'agent']

export const startRows: readonly StartRow[] = [
  start('config file', 'open /agent.yaml', ['EACCES', 'EIO'], alone, { code: 'config-unreadable' }),
  start('config file', 'open /agent.yaml', ['EMFILE', 'ENFILE'], root, { code: 'resources-exhausted' }),
  start('state directory', 'mkdir /state', ['EACCES', 'ENOSPC', 'EROFS'], alone, { code: 'file-failed' }),
  start('lock of the state directory', 'open /state/lock', ['EIO'], agents, { code: 'file-failed' }),
  start('pid in that lock', 'write /state/lock', ['ENOSPC'], alone, 'nothing'),
  start('run directory', 'mkdir /run', ['EROFS'], alone, { code: 'file-failed' }),
  start('directory of the root half', 'mkdir /host', ['ENOSPC', 'EROFS'], root, { code: 'file-failed' }),
  start('lock of the agent id', 'open /keepward-agents', ['EACCES'], both, { code: 'file-failed' }),
  start('new journal', 'write journal.sqlite', ['EIO', 'ENOSPC'], agents, { code: 'journal-failed' }),
  start('new journal', 'sync journal.sqlite', ['EIO'], alone, { code: 'journal-failed' }),
  start('journal that cannot be opened', 'open journal.sqlite', ['EACCES'], alone, { code: 'file-failed' }),
  start('log of the journal', 'write journal.sqlite-wal', ['ENOSPC'], alone, {
    condition: 'journal-unavailable',
  }),
  start('anchors', 'write .anchors', ['ENOSPC'], alone, { condition: 'journal-unanchored' }),
  start('anchors', 'mkdir /anchors', ['EROFS'], alone, { condition: 'journal-unanchored' }),
  start('key of the state-change socket', 'write /state/tmp-', ['EIO', 'ENOSPC'], alone, { code: 'file-failed' }),
  start('state-change socket', 'bind keepalived-state-change', ['EACCES'], agents, {
    code: 'file-failed',
  }),
  start('control socket', 'bind control.sock', ['ENOSPC'], alone, { code: 'file-failed' }),
  start('socket of the root half', 'bind keepward-host.socket', ['ENOSPC'], root, { code: 'file-failed' }),
  start('Unix sockets', 'socket unix', ['EMFILE'], alone, { code: 'resources-exhausted' }),
  start('netlink socket', 'socket netlink', ['EPERM'], both, { code: 'permission-denied' }),
  start('netlink socket', 'socket netlink', ['ENOMEM'], both, { code: 'resources-exhausted' }),
  start('notify FIFO', 'open notify.fifo', ['EIO'], both, { code: 'file-failed' }),
  start('start of any program', 'clone process', ['EAGAIN'], both, { code: 'resources-exhausted' }),
  start('keepalived', 'execve /keepalived', ['ENOENT'], both, { code: 'keepalived-missing' }),
  start('keepalived', 'execve /keepalived', ['EACCES'], alone, { code: 'keepalived-failed' }),
  start('/proc', 'open /proc/self/status', ['EACCES'], alone, { code: 'permission-denied' }),
  start('/proc', 'open /proc/self/status', ['EIO'], root, { code: 'file-failed' }),
]

const rules = 'roles, kernel watch and control API'
const before = `${rules}; keepalived runs on with the config before`
const started = 'kernel watch and control API; keepalived is started once it is over'

export const runRows: readonly RunRow[] = [
  run(
    'log of the journal',
    'write journal.sqlite-wal',
    ['EIO', 'ENOSPC'],
    agents,
    'message',
    'journal-unavailable',
    'all; records wait in memory and are written, marked late, once it is over',
  ),
  run(
    'log of the journal',
    'sync journal.sqlite-wal',
    ['EIO'],
    agents,
    'message',
    'journal-unavailable',
    'the same; then the journal is copied into blocks allocated anew',
  ),
  run(
    'anchors, and the log of each process',
    'write .log',
    ['ENOSPC'],
    both,
    'message',
    'journal-unanchored',
    'all; what was written meanwhile is signed once it is over, lines of the log wait, up to 1 MiB',
  ),
  run(
    'config file',
    'open /agent.yaml',
    ['EACCES', 'EIO', 'EMFILE'],
    both,
    'apply',
    'config-not-applied',
    'all, with the config before',
  ),
  run(
    'copy of the config in force',
    'write /tmp-',
    ['ENOSPC'],
    root,
    'change',
    'config-not-applied',
    'all, with the config before',
  ),
  run('keepalived.conf', 'write /routers/r1/', ['EIO', 'ENOSPC'], both, 'change', 'operation-failed', before),
  run('/proc of keepalived', 'open /stat', ['EMFILE', 'EIO'], both, 'message', 'evidence-missing', rules),
  run(
    'namespace',
    'open /run/netns/',
    ['EMFILE'],
    both,
    'message',
    'nothing',
    'all; looks are tried again, and the kernel watch tells the role meanwhile',
  ),
  run('namespace', 'open /run/netns/', ['EMFILE'], both, 'kill keepalived', 'evidence-missing', started),
  run('namespace', 'setns namespace', ['EPERM'], both, 'kill keepalived', 'evidence-missing', started),
  run('start of any program', 'clone process', ['EAGAIN'], both, 'change', 'operation-failed', before),
  run('keepalived', 'execve /keepalived', ['ENOENT'], both, 'change', 'operation-failed', before),
  run(
    'nft',
    'execve /nft',
    ['ENOENT'],
    alone,
    'restart agent',
    'vrrp-unfiltered',
    'all; the filter of before stays in the kernel',
  ),
  run(
    'state-change socket, made anew',
    'bind keepalived-state-change',
    ['EACCES', 'ENOSPC'],
    agents,
    'remove socket',
    'state-change-unavailable',
    `${rules}; notifiers are not heard`,
  ),
  run(
    'state-change socket, accepting',
    'accept keepalived-state-change',
    ['EMFILE'],
    agents,
    'message',
    'nothing',
    `${rules}; notifiers are not heard`,
  ),
]

/** `fails`: the call, and a part of the path or the kind of thing. */
function row(where: string, fails: string, errnos: readonly Errno[], who: readonly Who[]): Row {
  const [call = '', on = ''] = fails.split(' ')
  return { where, call, on, errnos, who }
}

function start(...[where, fails, errnos, who, shown]: [...Parameters<typeof row>, StartRow['shown']]): StartRow {
  return { ...row(where, fails, errnos, who), shown }
}

function run(
  ...[where, fails, errnos, who, provoked, shown, works]: [
    ...Parameters<typeof row>,
    RunRow['provoked'],
    RunRow['shown'],
    string,
  ]
): RunRow {
  return { ...row(where, fails, errnos, who), provoked, shown, works }
}
