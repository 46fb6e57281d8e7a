import { formatPrefix, type Prefix } from '../base/address.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from './netlink.ts'
import type { NetlinkSocket, Request } from './netlink-socket.ts'
import {
  addressDump,
  addressPayload,
  type InterfaceAddress,
  keepwardProtocol,
  noDuplicateDetection,
  protocolAttribute,
  readAddress,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './rtnetlink.ts'

export { type InterfaceAddress, keepwardProtocol } from './rtnetlink.ts'

/** All addresses of both IP versions in the socket's namespace. */
export function listAddresses(socket: NetlinkSocket): InterfaceAddress[] {
  const messages = socket.dump({ says: 'list the addresses', type: RTM_GETADDR, payload: addressDump() })
  return messages.map(readAddress).filter((address) => address !== undefined)
}

/**
 * Adds an address marked as ours; one that is there already is fine. IPv6 without duplicate address detection: it is
 * usable at once, and an answer from a stranger does not take it away.
 */
export function addAddress(ifindex: number, prefix: Prefix, protocol = keepwardProtocol): Request {
  return {
    says: `add address ${formatPrefix(prefix)}`,
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: [
      ...addressPayload(ifindex, prefix),
      protocolAttribute(protocol),
      ...(prefix.family === 6 ? [noDuplicateDetection()] : []),
    ],
    tolerate: ['EEXIST'],
  }
}

/** Removes an address; one that is gone already, with its link or alone, is fine. */
export function removeAddress(ifindex: number, prefix: Prefix): Request {
  return {
    says: `remove address ${formatPrefix(prefix)}`,
    type: RTM_DELADDR,
    payload: addressPayload(ifindex, prefix),
    tolerate: ['EADDRNOTAVAIL', 'ENODEV'],
  }
}
