import { findLink, setLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { attachNamespace, namespaceInode, openNamespace, type Namespace } from '../linux/netns.ts'
import { readSysctls, writeSysctls } from '../linux/sysctl.ts'
import type { RouterSpec } from '../router/spec.ts'
import { markOf } from './mark.ts'

/**
 * What a router's namespace needs before anything runs in it. Hosts answer ARP only for addresses of the asked interface
 * and announce the right one (arp_ignore, arp_announce: ip-sysctl), so that a backup never speaks for a virtual address.
 */
const settings: readonly (readonly [key: string, value: string])[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/arp_ignore', '1'],
  ['net/ipv4/conf/all/arp_announce', '2'],
  ['net/ipv4/ip_nonlocal_bind', '1'],
  // Else the kernel drops every address of a subnet with the first of them.
  ['net/ipv4/conf/all/promote_secondaries', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
  ['net/ipv6/conf/all/accept_ra', '0'],
  ['net/ipv6/conf/default/accept_ra', '0'],
]

/**
 * The kernel of a host that takes over has seen no segment of a connection that it was told of, and one that takes the role back has missed
 * many: neither may judge them by their sequence numbers (nf_conntrack-sysctl).
 */
const settingsOfFlows: typeof settings = [['net/netfilter/nf_conntrack_tcp_be_liberal', '1']]

const settingsOf = ({ connectionTracking }: RouterSpec): typeof settings =>
  connectionTracking === undefined ? settings : [...settings, ...settingsOfFlows]

/**
 * Make the namespace if it is not there, and set what is not set. `holder` is a process of the router that still lives
 * in a namespace whose name somebody removed: then the name is given back, and no packet is lost.
 */
export async function ensureNamespace(
  spec: RouterSpec,
  agent: string,
  holder: number | undefined,
  create: (name: string) => Promise<unknown>,
): Promise<void> {
  const made = namespaceInode(spec.namespace) === undefined
  if (made && holder !== undefined) await attachNamespace(spec.namespace, holder)
  else if (made) await create(spec.namespace)
  using namespace = openNamespace(spec.namespace)
  using socket = openNetlink(namespace.fd)
  const lo = findLink(socket, 'lo')
  const alias = markOf(agent, spec.id)
  // A namespace that was there before us stays its maker's: unmarked, and never removed by us.
  if (made && lo?.alias !== alias) socket.apply([setLink('lo', { alias })])
  if (lo?.up !== true) socket.apply([setLink('lo', { up: true })])
  writeSysctls(namespace.fd, wrongSettings(spec, namespace))
}

/** The namespace is there with all its settings. */
export function namespaceReady(spec: RouterSpec): boolean {
  if (namespaceInode(spec.namespace) === undefined) return false
  using namespace = openNamespace(spec.namespace)
  return wrongSettings(spec, namespace).length === 0
}

function wrongSettings(spec: RouterSpec, { fd }: Namespace): (readonly [key: string, value: string])[] {
  const wanted = settingsOf(spec)
  const found = readSysctls(
    fd,
    wanted.map(([key]) => key),
  )
  // A kernel without IPv6 has no such keys.
  return wanted.filter(([, value], at) => found[at] !== undefined && found[at] !== value)
}
