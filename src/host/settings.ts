import { listAddresses, removeAddress, type InterfaceAddress } from '../linux/address.ts'
import { listLinks } from '../linux/link.ts'
import { openNetlink, type NetlinkSocket } from '../linux/netlink-socket.ts'
import type { Namespace } from '../linux/netns.ts'
import { readSysctls, writeSysctls } from '../linux/sysctl.ts'
import { silentInterfaces } from '../router/silence.ts'
import type { InterfaceSpec, RouterSpec } from '../router/spec.ts'

type Setting = readonly [key: string, value: string]

/**
 * What a router's namespace needs before anything runs in it, the same in both roles: which host forwards and speaks is
 * decided by the addresses alone, so that a failover needs nobody to set anything (LP#1677279). Hosts answer ARP only for
 * addresses of the asked interface and announce the right one (arp_ignore, arp_announce: ip-sysctl).
 */
const ofNamespace: readonly Setting[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/arp_ignore', '1'],
  ['net/ipv4/conf/all/arp_announce', '2'],
  ['net/ipv4/ip_nonlocal_bind', '1'],
  // Else the kernel drops every address of a subnet with the first of them.
  ['net/ipv4/conf/all/promote_secondaries', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
  ['net/ipv6/ip_nonlocal_bind', '1'],
  ['net/ipv6/conf/all/accept_ra', '0'],
  ['net/ipv6/conf/default/accept_ra', '0'],
  ['net/ipv6/conf/default/autoconf', '0'],
  // Of interfaces that are still to come: one that somebody else brings up must not speak before we see it.
  ['net/ipv6/conf/default/addr_gen_mode', '1'],
]

/** Put right what is not as it must be; of interfaces that are not there, nothing. */
export function settle(spec: RouterSpec, { fd }: Namespace): void {
  writeSysctls(fd, wrongOf(fd, [...ofNamespace, ...spec.interfaces.flatMap((one) => ofInterface(spec, one))]))
  using socket = openNetlink(fd)
  socket.apply(madeUp(spec, socket).map((held) => removeAddress(held.ifindex, held)))
}

/** The same for one interface, before it is brought up. */
export function settleInterface(spec: RouterSpec, wanted: InterfaceSpec, namespaceFd: number): void {
  writeSysctls(namespaceFd, wrongOf(namespaceFd, ofInterface(spec, wanted)))
}

export function isSettled(spec: RouterSpec, { fd }: Namespace): boolean {
  const settings = [...ofNamespace, ...spec.interfaces.flatMap((one) => ofInterface(spec, one))]
  if (wrongOf(fd, settings).length > 0) return false
  using socket = openNetlink(fd)
  return madeUp(spec, socket).length === 0
}

function ofInterface(spec: RouterSpec, { name, acceptRouterAdvertisements }: InterfaceSpec): Setting[] {
  return [
    [`net/ipv4/conf/${name}/forwarding`, '1'],
    [`net/ipv6/conf/${name}/forwarding`, '1'],
    // 2: although it forwards. A default route harms no backup, which nobody sends anything to.
    [`net/ipv6/conf/${name}/accept_ra`, acceptRouterAdvertisements ? '2' : '0'],
    // Addresses are declared: one of the kernel's making would be there whatever the role, and in no config.
    [`net/ipv6/conf/${name}/autoconf`, '0'],
    // 1: no link-local address of the kernel's own making, for which it would speak whatever the role.
    [`net/ipv6/conf/${name}/addr_gen_mode`, silentInterfaces(spec).includes(name) ? '1' : '0'],
  ]
}

function wrongOf(namespaceFd: number, settings: readonly Setting[]): Setting[] {
  const found = readSysctls(
    namespaceFd,
    settings.map(([key]) => key),
  )
  // A kernel without IPv6 has no such keys, nor has an interface that is not there.
  return settings.filter(([, value], at) => found[at] !== undefined && found[at] !== value)
}

/** IFAPROT_KERNEL_LL (linux/if_addr.h). */
const madeByKernel = 3

/** Link-local addresses of the kernel's making where there must be none: from before `addr_gen_mode` was set. */
function madeUp(spec: RouterSpec, socket: NetlinkSocket): InterfaceAddress[] {
  const silent = silentInterfaces(spec)
  const indexes = listLinks(socket).flatMap(({ name, ifindex }) => (silent.includes(name) ? [ifindex] : []))
  return listAddresses(socket).filter(
    ({ ifindex, family, protocol }) => family === 6 && protocol === madeByKernel && indexes.includes(ifindex),
  )
}
