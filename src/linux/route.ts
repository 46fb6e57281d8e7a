import { addressBytes, addressFromBytes, formatPrefix, type Prefix } from '../base/address.ts'
import { attribute, eachAttribute, type Message, u32 } from './netlink.ts'
import type { NetlinkSocket, Request } from './netlink-socket.ts'
import { familyOf, keepwardProtocol, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE } from './rtnetlink.ts'

/** A unicast route, as far as it takes to show and to remove it. */
export interface Route {
  readonly destination: Prefix
  readonly table: number
  /** Gateway; undefined when the destination is on the link. */
  readonly via: string | undefined
  readonly ifindex: number | undefined
  readonly metric: number
}

/** The routes that we, or keepalived for us, added in the socket's namespace: those of our protocol number. */
export function listRoutes(socket: NetlinkSocket, protocol = keepwardProtocol): Route[] {
  const payload = [routeHeader(AF_UNSPEC, 0, protocol)]
  return socket
    .dump({ says: 'list the routes', type: RTM_GETROUTE, payload })
    .filter((message) => message.type === RTM_NEWROUTE && message.bytes[message.from + 5] === protocol)
    .map(readRoute)
    .filter((route) => route !== undefined)
}

/** Removes one of our routes; already gone is fine. */
export function removeRoute(route: Route, protocol = keepwardProtocol): Request {
  const { destination, table, via, ifindex, metric } = route
  const payload = [routeHeader(familyOf(destination), destination.prefixLength, protocol), u32(RTA_TABLE, table)]
  if (destination.prefixLength > 0) payload.push(attribute(RTA_DST, addressBytes(destination.address)))
  if (via !== undefined) payload.push(attribute(RTA_GATEWAY, addressBytes(via)))
  if (ifindex !== undefined) payload.push(u32(RTA_OIF, ifindex))
  if (metric !== 0) payload.push(u32(RTA_PRIORITY, metric))
  return {
    says: `remove route ${formatPrefix(destination)}`,
    type: RTM_DELROUTE,
    payload,
    tolerate: ['ESRCH', 'ENODEV'],
  }
}

const AF_UNSPEC = 0
const AF_INET = 2
const AF_INET6 = 10
const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6
const RTA_TABLE = 15
/** In a removal: whatever the scope is. */
const RT_SCOPE_NOWHERE = 255

/** struct rtmsg. */
function routeHeader(family: number, prefixLength: number, protocol: number): Buffer {
  const scope = family === AF_UNSPEC ? 0 : RT_SCOPE_NOWHERE
  return Buffer.from([family, prefixLength, 0, 0, 0, protocol, scope, 0, 0, 0, 0, 0])
}

function readRoute({ bytes, from, to }: Message): Route | undefined {
  const family = bytes[from] === AF_INET ? 4 : bytes[from] === AF_INET6 ? 6 : undefined
  if (family === undefined) return undefined
  const found = {
    address: family === 4 ? '0.0.0.0' : '::',
    table: bytes.readUInt8(from + 4),
    via: undefined as string | undefined,
    ifindex: undefined as number | undefined,
    metric: 0,
  }
  eachAttribute(bytes, from + 12, to, (type, start, end) => {
    if (type === RTA_DST) found.address = addressFromBytes(bytes.subarray(start, end))
    else if (type === RTA_GATEWAY) found.via = addressFromBytes(bytes.subarray(start, end))
    else if (type === RTA_OIF) found.ifindex = bytes.readUInt32LE(start)
    else if (type === RTA_PRIORITY) found.metric = bytes.readUInt32LE(start)
    else if (type === RTA_TABLE) found.table = bytes.readUInt32LE(start)
  })
  const { address, ...rest } = found
  return { destination: { family, address, prefixLength: bytes.readUInt8(from + 1) }, ...rest }
}
