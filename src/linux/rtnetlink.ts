import { addressBytes, addressFromBytes, type Prefix } from '../base/address.ts'
import { attribute, eachAttribute, type Message, nested, readText, text, u32 } from './netlink.ts'

/** Message types, groups and attributes of rtnetlink(7), and what its messages about links and addresses say. */

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_SETLINK = 19
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26
export const RTM_NEWNSID = 88
export const RTM_DELNSID = 89
export const RTM_GETNSID = 90

export const RTNLGRP_LINK = 1
export const RTNLGRP_IPV4_IFADDR = 5
export const RTNLGRP_IPV6_IFADDR = 9
export const RTNLGRP_NSID = 28

export const IFF_UP = 0x1
export const IFF_RUNNING = 0x40
export const IFF_LOWER_UP = 0x10000

/** What we need to know of a network interface. */
export interface Link {
  readonly ifindex: number
  readonly name: string
  /** Administratively up. */
  readonly up: boolean
  /**
   * The lower layer carries (IFF_LOWER_UP) and the link is in operation (IFF_RUNNING), which the kernel says up to a second
   * later; keepalived goes by the second alone. Always false while `up` is false on most kinds.
   */
  readonly carrier: boolean
  /** Free text that an administrator, or we, set (ip-link(8) `alias`). */
  readonly alias: string | undefined
  /** `veth`, `macvlan`, ...; undefined for hardware and loopback. */
  readonly kind: string | undefined
  /** Interface index of the bridge or bond that this is a port of. */
  readonly master: number | undefined
  readonly mtu: number
  readonly macAddress: string | undefined
}

/** An address as the kernel holds it. */
export interface InterfaceAddress extends Prefix {
  readonly ifindex: number
  /** Duplicate address detection still runs, or found a duplicate: such an address is not used (RFC 4862, 5.4). */
  readonly tentative: boolean
  readonly duplicate: boolean
  /** Who added it (IFA_PROTO): 0 is not said, see {@link keepwardProtocol}. */
  readonly protocol: number
}

/**
 * Marks addresses (IFA_PROTO, kernel 5.18 and newer) and routes (rtm_protocol) that we, or keepalived for us, added.
 * Free in /etc/iproute2/rt_protos.
 */
export const keepwardProtocol = 152

/** A link message's link; undefined when it speaks of something else (a bridge's port tables come in this type too). */
export function readLink(message: Message): Link | undefined {
  const { bytes, from, to } = message
  if (to - from < 16 || bytes[from] !== AF_UNSPEC) return undefined
  const flags = bytes.readUInt32LE(from + 8)
  const link = {
    ifindex: bytes.readInt32LE(from + 4),
    name: '',
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0 && (flags & IFF_RUNNING) !== 0,
    alias: undefined as string | undefined,
    kind: undefined as string | undefined,
    master: undefined as number | undefined,
    mtu: 0,
    macAddress: undefined as string | undefined,
  }
  eachAttribute(bytes, from + 16, to, (type, start, end) => {
    if (type === IFLA_IFNAME) link.name = readText(bytes, start, end)
    else if (type === IFLA_IFALIAS) link.alias = readText(bytes, start, end)
    else if (type === IFLA_MTU) link.mtu = bytes.readUInt32LE(start)
    else if (type === IFLA_MASTER) link.master = bytes.readUInt32LE(start)
    else if (type === IFLA_ADDRESS && end - start === 6) link.macAddress = formatMac(bytes, start)
    else if (type === IFLA_LINKINFO) link.kind = readKind(bytes, start, end)
  })
  return link
}

/** An address message's address; undefined when it is of neither IP version. */
export function readAddress(message: Message): InterfaceAddress | undefined {
  const { bytes, from, to } = message
  const family = bytes[from] === AF_INET ? 4 : bytes[from] === AF_INET6 ? 6 : undefined
  if (to - from < 8 || family === undefined) return undefined
  let flags = bytes.readUInt8(from + 2)
  let protocol = 0
  let own: Uint8Array | undefined
  let other: Uint8Array | undefined
  eachAttribute(bytes, from + 8, to, (type, start, end) => {
    // IFA_ADDRESS is the peer's on point-to-point links, where IFA_LOCAL is ours; otherwise either may be alone.
    if (type === IFA_LOCAL) own = bytes.subarray(start, end)
    else if (type === IFA_ADDRESS) other = bytes.subarray(start, end)
    else if (type === IFA_FLAGS) flags = bytes.readUInt32LE(start)
    else if (type === IFA_PROTO) protocol = bytes.readUInt8(start)
  })
  const address = own ?? other
  if (address?.length !== (family === 4 ? 4 : 16)) return undefined
  return {
    family,
    address: addressFromBytes(address),
    prefixLength: bytes.readUInt8(from + 1),
    ifindex: bytes.readUInt32LE(from + 4),
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    duplicate: (flags & IFA_F_DADFAILED) !== 0,
    protocol,
  }
}

/** The namespace id that a RTM_NEWNSID or RTM_DELNSID message speaks of; -1 says that there is none. */
export function readNamespaceId(message: Message): number | undefined {
  let id: number | undefined
  eachAttribute(message.bytes, message.from + 4, message.to, (type, start) => {
    if (type === NETNSA_NSID) id = message.bytes.readInt32LE(start)
  })
  return id
}

export const familyOf = (prefix: Prefix): number => (prefix.family === 4 ? AF_INET : AF_INET6)

export interface LinkHeader {
  readonly ifindex?: number
  readonly up?: boolean
}

/** struct ifinfomsg. */
export function linkHeader({ ifindex = 0, up }: LinkHeader): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(ifindex, 4)
  header.writeUInt32LE(up === true ? IFF_UP : 0, 8)
  header.writeUInt32LE(up === undefined ? 0 : IFF_UP, 12)
  return header
}

/** struct ifaddrmsg and the attributes that name an address. */
export function addressPayload(ifindex: number, prefix: Prefix): Buffer[] {
  const header = Buffer.alloc(8)
  header.writeUInt8(familyOf(prefix), 0)
  header.writeUInt8(prefix.prefixLength, 1)
  header.writeUInt32LE(ifindex, 4)
  const bytes = addressBytes(prefix.address)
  return [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)]
}

export const protocolAttribute = (protocol: number): Buffer => attribute(IFA_PROTO, Uint8Array.of(protocol))
export const noDuplicateDetection = (): Buffer => u32(IFA_FLAGS, IFA_F_NODAD)

/** Payload of an address dump; of another namespace by its id. Needs NETLINK_GET_STRICT_CHK. */
export const addressDump = (nsid?: number): Buffer[] => [
  Buffer.alloc(8),
  ...(nsid === undefined ? [] : [u32(IFA_TARGET_NETNSID, nsid)]),
]

/** Payload of a link dump, without statistics. */
export const linkDump = (nsid?: number): Buffer[] => [
  linkHeader({}),
  u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS),
  ...(nsid === undefined ? [] : [u32(IFLA_TARGET_NETNSID, nsid)]),
]

/** Payload about the id of the namespace behind a descriptor; `nsid` -1 lets the kernel choose one. */
export const namespaceIdPayload = (namespaceFd: number, nsid?: number): Buffer[] => [
  Buffer.alloc(4),
  u32(NETNSA_FD, namespaceFd),
  ...(nsid === undefined ? [] : [u32(NETNSA_NSID, nsid)]),
]

export const linkName = (name: string): Buffer => text(IFLA_IFNAME, name)
export const linkAlias = (alias: string): Buffer => text(IFLA_IFALIAS, alias)
export const linkMtu = (mtu: number): Buffer => u32(IFLA_MTU, mtu)
export const linkMaster = (ifindex: number): Buffer => u32(IFLA_MASTER, ifindex)
export const linkParent = (ifindex: number): Buffer => u32(IFLA_LINK, ifindex)
export const linkNamespace = (namespaceFd: number): Buffer => u32(IFLA_NET_NS_FD, namespaceFd)
export const linkMac = (mac: string): Buffer => attribute(IFLA_ADDRESS, Buffer.from(mac.replaceAll(':', ''), 'hex'))

/** Without it the kernel gives the link an EUI-64 link-local address as soon as it is up (RFC 4291, 2.5.1). */
export const noLinkLocalAddress = (): Buffer =>
  nested(IFLA_AF_SPEC, [nested(AF_INET6, [attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(ADDR_GEN_MODE_NONE))])])

/** IFLA_LINKINFO of a new link. */
export const linkKind = (kind: string, data: readonly Buffer[] = []): Buffer =>
  nested(IFLA_LINKINFO, [
    attribute(IFLA_INFO_KIND, Buffer.from(kind)),
    ...(data.length === 0 ? [] : [nested(IFLA_INFO_DATA, data)]),
  ])

const AF_UNSPEC = 0
const AF_INET = 2
const AF_INET6 = 10

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_IFALIAS = 20
const IFLA_AF_SPEC = 26
const IFLA_NET_NS_FD = 28
const IFLA_EXT_MASK = 29
const IFLA_TARGET_NETNSID = 46
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_INET6_ADDR_GEN_MODE = 8
const ADDR_GEN_MODE_NONE = 1
const RTEXT_FILTER_SKIP_STATS = 8

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_FLAGS = 8
const IFA_TARGET_NETNSID = 10
const IFA_PROTO = 11
const IFA_F_NODAD = 0x02
const IFA_F_DADFAILED = 0x08
const IFA_F_TENTATIVE = 0x40

const NETNSA_NSID = 1
const NETNSA_FD = 3

function readKind(bytes: Buffer, from: number, to: number): string | undefined {
  let kind: string | undefined
  eachAttribute(bytes, from, to, (type, start, end) => {
    if (type === IFLA_INFO_KIND) kind = readText(bytes, start, end)
  })
  return kind
}

const formatMac = (bytes: Buffer, at: number): string =>
  bytes
    .toString('hex', at, at + 6)
    .replace(/../g, '$&:')
    .slice(0, 17)
