import type { Instant } from '../base/instant.ts'

export type Severity = 'critical' | 'warning' | 'info'

/** A named condition: something that is so now, that a person should know, and what to do about it. */
export interface ConditionDeclaration {
  readonly severity: Severity
  readonly title: string
  readonly hint: string
}

/** Every condition there is, declared once. A code, once released, keeps its meaning. */
export const conditions = {
  'address-without-keepalived': {
    severity: 'critical',
    title: 'The namespace holds the marker address, but no keepalived lives to defend or release it',
    hint: 'A new keepalived is started at once and clears the address first; if this stays, read `keepward explain` for why it does not start',
  },
  'kernel-disagrees': {
    severity: 'critical',
    title: 'keepalived and the kernel say different things about who holds the address',
    hint: 'Somebody else adds or removes addresses in the namespace; find out who (`ip -ts monitor address`), or restart this keepalived',
  },
  'keepalived-restarting': {
    severity: 'warning',
    title: 'keepalived, or its VRRP child, died and is being started again',
    hint: 'Look for its last words in the system log; if it dies again and again, its config or the machine is at fault',
  },
  'keepalived-stalled': {
    severity: 'critical',
    title: 'keepalived is stopped or does not answer',
    hint: 'It is shown and not killed, since it may hold the address; `kill -CONT` a stopped one, restart one that hangs',
  },
  'keepalived-tied': {
    severity: 'info',
    title: 'keepalived shares the control group of the agent and may end with it',
    hint: 'Let the agent write to the cgroup v2 mount, or run its service with KillMode=process',
  },
  'config-refused': {
    severity: 'warning',
    title: 'The config of keepalived is refused; the one before stays in force',
    hint: 'The text says by whom and why; correct the router in agent.yaml and apply it',
  },
  'evidence-missing': {
    severity: 'critical',
    title: 'What is needed to know the role cannot be seen',
    hint: 'The namespace, its HA interface or keepalived cannot be read; `keepward explain` shows which, and since when',
  },
  'router-defect': {
    severity: 'warning',
    title: 'Work for this router failed by a defect of Keepward; other routers are not touched',
    hint: 'Report it with the line of the log that says "defect"; it is shown until nothing failed for a minute, and a restart of the agent moves no address',
  },
  'waiting-for-carrier': {
    severity: 'warning',
    title: 'The HA interface has no carrier, so keepalived is not started yet',
    hint: 'Bring up the link, bridge or parent that the HA interface hangs on',
  },
  'interface-missing': {
    severity: 'warning',
    title: 'An interface that somebody else makes is not in the namespace',
    hint: 'Make it and move it there, or let Keepward make it (attach: bridge, macvlan or vxlan)',
  },
  'virtual-address-missing': {
    severity: 'critical',
    title: 'This instance is primary, but a virtual address is not on its interface',
    hint: 'Somebody removed it, or its interface was down for a while; keepalived does not put it back: add it by hand, or let another host take over',
  },
  'virtual-address-leftover': {
    severity: 'critical',
    title: 'This instance is not primary, yet a virtual address is on its interface',
    hint: 'Somebody added it by hand, or an unclean end left it; remove it with `ip address del`, as two hosts may answer for it',
  },
  'notifier-disagrees': {
    severity: 'warning',
    title: 'A notifier says another role than the kernel and keepalived show',
    hint: 'The role shown is the right one; look at the sender that the text names, and at who else may speak for the router',
  },
  'notifier-silent': {
    severity: 'warning',
    title: 'The role has changed, and the notifier that spoke before has said nothing of it',
    hint: 'The role shown is the right one; restart the notifier: a monitor of Neutron that once was not answered stays silent for ever',
  },
  'vrrp-stranger': {
    severity: 'warning',
    title: 'VRRP adverts came from somebody who is no declared peer, and were dropped',
    hint: 'The text names source and interface: a host that agent.yaml should list as a peer (with minTtl when a router is between), or somebody who forges adverts',
  },
  'vrrp-unfiltered': {
    severity: 'warning',
    title: 'The VRRP filter is not in force: whoever reaches the router can take its role away',
    hint: 'Where it was removed, find out by whom; where it cannot be made, install nftables and a kernel with nf_tables (`keepward doctor` tries both). It is tried again by itself',
  },
  'nat-missing': {
    severity: 'critical',
    title: 'The address translation of the router cannot be put in force',
    hint: 'Install nftables and a kernel with nf_tables and NAT (`keepward doctor` tries them); it is tried again every 30 s',
  },
  'flows-unfiltered': {
    severity: 'warning',
    title:
      'The filter that lets only the peer tell of flows cannot be put in force; without it conntrackd is not started, nor told its role',
    hint: 'Install nftables and a kernel with nf_tables and its fib expression (nft_fib_inet); it is tried again every 30 s',
  },
  'packet-filter-missing': {
    severity: 'critical',
    title: 'The packet filter file of the router is not in force',
    hint: 'The text says why; correct the file and run `keepward apply`. What was in force before stays, and it is tried again every 30 s',
  },
  'vrrp-peers-undeclared': {
    severity: 'warning',
    title: 'The router advertises to a multicast group and declares no peers: whoever is on the HA link is heard',
    hint: 'List the addresses that the other hosts advertise from: `multicast: { peers: [...] }`',
  },
  'vrrp-unauthenticated': {
    severity: 'info',
    title: 'VRRP adverts are not authenticated; the filter alone keeps others out',
    hint: 'Keep the HA link for the hosts of the routers, put WireGuard, IPsec or MACsec under it (docs/operations.md), or use `authentication: { hmac: ... }` with keepalived 2.4.3 or newer',
  },
  'vrrp-password': {
    severity: 'warning',
    title: 'The router uses the simple password of VRRPv2, which is no security',
    hint: 'It keeps routers apart that share a link and a VRID by mistake; against an attacker use `authentication: { hmac: ... }`, or protect the HA link (docs/operations.md)',
  },
  'reaction-failed': {
    severity: 'critical',
    title: 'A service that follows the role could not be brought to it',
    hint: 'The text names service, role and reason; it is tried again, ever more slowly, and the other services go on',
  },
  'reaction-tied': {
    severity: 'info',
    title: 'A service that follows the role shares the control group of keepward-host and may end with it',
    hint: 'Let keepward-host write to the cgroup v2 mount, or run its service with KillMode=process',
  },
  'hook-failed': {
    severity: 'warning',
    title: 'A hook did not end well',
    hint: 'The text names program, role and what it said; run it by hand as its user. It is run again for the newest role up to five times, then at the next change of role, or when its router is changed in the config',
  },
  'hook-overflow': {
    severity: 'warning',
    title: 'The role changed faster than the hooks of the router end, and the oldest changes were not told to them',
    hint: 'Make the hooks quicker, or give them a shorter timeout; the newest role is always told',
  },
  flapping: {
    severity: 'warning',
    title: 'The role changes again and again',
    hint: 'The text has the most frequent cause: look at that link, peer or keepalived. Services follow each role all the same, and the role shown is the true one',
  },
  'operation-failed': {
    severity: 'warning',
    title: 'A step towards the wanted state failed and is tried again',
    hint: 'The text names the step and its error',
  },
  'journal-unavailable': {
    severity: 'critical',
    title: 'The journal cannot be written; transitions wait in memory',
    hint: 'Free space, or mend the file system under paths.state; it recovers by itself, and the newest transition of each router is never given up',
  },
  'journal-unanchored': {
    severity: 'warning',
    title: 'The newest records of the journal are not signed: who altered them now would not be found out',
    hint: 'The text says why; if more was signed before than there is, run `keepward audit --verify` and keep journal and anchors for inquiry',
  },
  'anchors-not-copied': {
    severity: 'warning',
    title: 'The anchors of the journal are signed, and cannot be copied to syslog: they are on this host alone',
    hint: 'See audit.syslogSocket or audit.syslogServer in agent.yaml, and whether somebody listens there; the next anchor is tried again',
  },
  'config-not-applied': {
    severity: 'warning',
    title: 'The config file could not be loaded; the one before stays in force',
    hint: 'Run `keepward validate`, correct what it names, then `keepward apply`',
  },
  'config-taken-at-start': {
    severity: 'warning',
    title: 'The agent started with the config file as it was, since the copy of what was applied last cannot be used',
    hint: 'The text says why. See that the file is what you want, then `keepward apply`',
  },
  'config-not-kept': {
    severity: 'warning',
    title:
      'No copy of the config that runs can be kept beside its file: a restart takes the file as it is then, applied or not',
    hint: 'Make the directory of the file one that root can write and others cannot, then `keepward apply`',
  },
  'config-changed-on-disk': {
    severity: 'warning',
    title: 'The config file, or what vouches for it, is not what runs: it was changed, and nobody applied it',
    hint: '`keepward plan` shows the difference, `keepward apply` takes it over; if nobody was to change it, find out who did, and put it back',
  },
  'secret-in-environment': {
    severity: 'warning',
    title: 'A secret comes from an environment variable, which is easily seen and handed on',
    hint: 'Put it into a file of mode 0600, or a credential of the service manager (docs/config.md)',
  },
  'vault-unavailable': {
    severity: 'warning',
    title: 'Vault does not give a secret that is wanted of it, or does not renew the token',
    hint: 'What was read before stays in use, and it is tried again by itself; the text says what Vault lacks',
  },
  'state-change-unavailable': {
    severity: 'warning',
    title: 'The state-change socket was removed and cannot be made anew',
    hint: 'Remove what the text names; until then notifiers are not heard, and the roles follow the kernel as before',
  },
  'sink-behind': {
    severity: 'warning',
    title: 'What happened is not told to a sink: it cannot be reached, or does not keep up',
    hint: 'The text names the sink and why. Nothing is lost: it is told, from where it was, once it is back',
  },
  'sink-not-ready': {
    severity: 'warning',
    title: 'A sink is reached, and lacks what somebody must make there',
    hint: 'The text says what; for NATS run `keepward nats setup` with the rights of an operator. It is looked at again by itself',
  },
  'sink-refused': {
    severity: 'warning',
    title: 'A sink does not take what happened to a router, and will not, however often it is told',
    hint: 'The text names sink, router and reason; other reports go on, and the next of that router is tried',
  },
  'sink-gap': {
    severity: 'warning',
    title: 'Within the last hour the journal removed records before a sink that wants every record was told them',
    hint: 'The text says which; its consumer finds the gap in `routerSeq`. Mend what kept the sink behind, or have the journal keep more (`journal.retainDays`, `maxSizeMb`)',
  },
  'sink-insecure': {
    severity: 'warning',
    title: 'A sink is reached without protection, or runs a version with known holes',
    hint: 'The text says which; use TLS, and update the server',
  },
  'clock-stepped': {
    severity: 'warning',
    title:
      'The wall clock was set within the last ten minutes; roles, ages and deadlines go by another clock and are right',
    hint: 'Times in the journal from before and after do not compare, sequences do; find out who sets the clock (`chronyc tracking`, `timedatectl`), and let it be slewed',
  },
  'host-unreachable': {
    severity: 'critical',
    title: 'The process that does what needs root cannot be asked',
    hint: 'Look at keepward-host (`systemctl status keepward-host`); until it is back, keepalived and the roles go on, the kernel watch tells, and nothing can be started, looked at or changed',
  },
} as const satisfies Record<string, ConditionDeclaration>

export type ConditionCode = keyof typeof conditions

/** A condition that is raised: since when, and what exactly it is this time. */
export interface RaisedCondition {
  readonly code: ConditionCode
  readonly since: Instant
  readonly text: string
}

export type Raised = ReadonlyMap<ConditionCode, RaisedCondition>

export interface ConditionChange {
  readonly change: 'raised' | 'cleared'
  readonly condition: RaisedCondition
}

/** Follows from the config alone, whose load is on record, and is so with most routers: each start would tell it of each. */
const unrecorded: ReadonlySet<ConditionCode> = new Set(['vrrp-unauthenticated'])

/**
 * Compare what was raised with what is so now. A condition whose text alone changes keeps its `since` and is no change
 * worth a record.
 */
export function compareConditions(
  before: Raised,
  texts: ReadonlyMap<ConditionCode, string>,
  now: Instant,
): { readonly raised: Raised; readonly changes: readonly ConditionChange[] } {
  const raised = new Map<ConditionCode, RaisedCondition>()
  const changes: ConditionChange[] = []
  for (const [code, text] of texts) {
    const known = before.get(code)
    const condition = { code, since: known?.since ?? now, text }
    raised.set(code, condition)
    if (known === undefined) changes.push({ change: 'raised', condition })
  }
  for (const [code, condition] of before) {
    if (!texts.has(code)) changes.push({ change: 'cleared', condition })
  }
  return { raised, changes: changes.filter(({ condition }) => !unrecorded.has(condition.code)) }
}
