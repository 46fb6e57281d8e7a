import { KeepwardError } from '../base/error.ts'
import { attribute, nested, NLM_F_CREATE, NLM_F_EXCL, u16be, u32 } from './netlink.ts'
import type { NetlinkSocket, Request } from './netlink-socket.ts'
import {
  type Link,
  linkAlias,
  linkDump,
  linkHeader,
  linkKind,
  linkMac,
  linkMaster,
  linkMtu,
  linkName,
  linkNamespace,
  linkParent,
  noLinkLocalAddress,
  readLink,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from './rtnetlink.ts'
import { addressBytes } from '../base/address.ts'

export type { Link } from './rtnetlink.ts'

/** At most 15 characters (IFNAMSIZ), and nothing that a path, a shell or `ip` could misread. */
export const linkNameForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/

/** All links of the socket's namespace. */
export function listLinks(socket: NetlinkSocket): Link[] {
  const messages = socket.dump({ says: 'list the links', type: RTM_GETLINK, payload: linkDump() })
  return messages.map(readLink).filter((link) => link !== undefined)
}

/** The link of that name in the socket's namespace. Throws `interface-missing`. */
export function linkByName(socket: NetlinkSocket, name: string): Link {
  const link = findLink(socket, name)
  if (link !== undefined) return link
  throw new KeepwardError('interface-missing', `There is no interface ${name}`)
}

export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const payload = [linkHeader({}), linkName(checkedName(name))]
  const request = { says: `find interface ${name}`, type: RTM_GETLINK, payload, tolerate: ['ENODEV'] }
  return socket.apply([request]).map(readLink)[0]
}

/** What a new link may be given; the kernel chooses what is left out. */
export interface NewLink {
  readonly name: string
  readonly mtu?: number | undefined
  readonly macAddress?: string | undefined
  readonly up?: boolean
}

/** A veth pair: `outer` in the socket's namespace, `inner` in that of `namespaceFd`. */
export function addVeth(options: {
  readonly outer: NewLink & { readonly master?: number | undefined }
  readonly inner: NewLink
  readonly namespaceFd: number
}): Request {
  const { outer, inner, namespaceFd } = options
  const peer = [linkHeader(headerOf(inner)), ...newLink(inner), linkNamespace(namespaceFd)]
  const kind = linkKind('veth', [nested(VETH_INFO_PEER, peer)])
  const master = outer.master === undefined ? [] : [linkMaster(outer.master)]
  return create('veth pair', outer, [...master, kind])
}

/** A macvlan (bridge mode) in the namespace of `namespaceFd` on top of a link, `parent`, of the socket's. */
export function addMacvlan(link: NewLink, options: { readonly parent: number; readonly namespaceFd: number }): Request {
  const kind = linkKind('macvlan', [u32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE)])
  return create('macvlan', link, [linkParent(options.parent), linkNamespace(options.namespaceFd), kind])
}

/** A vxlan (RFC 7348) in the namespace of `namespaceFd`; its packets leave by `parent` of the socket's. */
export function addVxlan(
  link: NewLink,
  options: {
    readonly parent: number
    readonly vni: number
    /** Multicast group, or the one remote end; canonical address. */
    readonly remote: string
    /** UDP port; 4789 is the assigned one. */
    readonly port: number
    readonly namespaceFd: number
  },
): Request {
  const kind = linkKind('vxlan', [
    u32(IFLA_VXLAN_ID, options.vni),
    attribute(options.remote.includes(':') ? IFLA_VXLAN_GROUP6 : IFLA_VXLAN_GROUP, addressBytes(options.remote)),
    u32(IFLA_VXLAN_LINK, options.parent),
    u16be(IFLA_VXLAN_PORT, options.port),
  ])
  return create('vxlan', link, [linkNamespace(options.namespaceFd), kind])
}

/** A bridge in the socket's namespace, forwarding at once (no spanning tree). */
export function addBridge(link: NewLink): Request {
  return create('bridge', link, [linkKind('bridge')])
}

/** Changes of one link, named or by index. */
export function setLink(
  link: string | number,
  change: {
    readonly up?: boolean
    /** Ownership lives here: see {@link Link.alias}. Up to 255 bytes; the kernel takes it only for links that exist. */
    readonly alias?: string
    /** Index of the new bridge; 0 for none. */
    readonly master?: number
    readonly mtu?: number
    readonly macAddress?: string
    readonly rename?: string
  },
): Request {
  const byIndex = typeof link === 'number'
  if (!byIndex && change.rename !== undefined) throw new KeepwardError('internal', 'a link is renamed by its index')
  const header = linkHeader({ ...(byIndex && { ifindex: link }), ...(change.up !== undefined && { up: change.up }) })
  const payload = [header]
  if (!byIndex) payload.push(linkName(checkedName(link)))
  if (change.rename !== undefined) payload.push(linkName(checkedName(change.rename)))
  if (change.alias !== undefined) payload.push(linkAlias(change.alias))
  if (change.master !== undefined) payload.push(linkMaster(change.master))
  if (change.mtu !== undefined) payload.push(linkMtu(change.mtu))
  if (change.macAddress !== undefined) payload.push(linkMac(change.macAddress))
  return { says: `change interface ${String(link)}`, type: RTM_SETLINK, payload }
}

/**
 * No link-local address of the kernel's own choosing (RFC 4291, 2.5.1). A request of its own, before the one that brings
 * the link up: within one the kernel brings up first, and it takes this for links that exist only.
 */
export function withoutLinkLocal(link: string | number): Request {
  const { payload, ...request } = setLink(link, {})
  return { ...request, payload: [...payload, noLinkLocalAddress()] }
}

/** Removes a link, and with a veth its other end. Already gone is fine. */
export function removeLink(link: string | number): Request {
  const named = typeof link === 'number' ? [] : [linkName(checkedName(link))]
  const payload = [linkHeader(typeof link === 'number' ? { ifindex: link } : {}), ...named]
  return { says: `remove interface ${String(link)}`, type: RTM_DELLINK, payload, tolerate: ['ENODEV'] }
}

const VETH_INFO_PEER = 1
const IFLA_MACVLAN_MODE = 1
const MACVLAN_MODE_BRIDGE = 4
const IFLA_VXLAN_ID = 1
const IFLA_VXLAN_GROUP = 2
const IFLA_VXLAN_LINK = 3
const IFLA_VXLAN_PORT = 15
const IFLA_VXLAN_GROUP6 = 16

function create(what: string, link: NewLink, attributes: readonly Buffer[]): Request {
  const payload = [linkHeader(headerOf(link)), ...newLink(link), ...attributes]
  return { says: `create ${what} ${link.name}`, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, payload }
}

const headerOf = (link: NewLink): { up?: boolean } => (link.up === undefined ? {} : { up: link.up })

function newLink(link: NewLink): Buffer[] {
  const attributes = [linkName(checkedName(link.name))]
  if (link.mtu !== undefined) attributes.push(linkMtu(link.mtu))
  if (link.macAddress !== undefined) attributes.push(linkMac(link.macAddress))
  return attributes
}

function checkedName(name: string): string {
  if (linkNameForm.test(name)) return name
  throw new KeepwardError('interface-missing', `"${name}" is no interface name; wanted 1 to 15 of A-Z a-z 0-9 . _ -`)
}
