import { KeepwardError } from '../base/error.ts'
import { fold, readEvent } from './namespace-view.ts'
import { kernelCodeOf, type NetlinkSocket } from './netlink-socket.ts'
import { namespaceId } from './netns.ts'
import { addressDump, linkDump, RTM_GETADDR, RTM_GETLINK } from './rtnetlink.ts'
import type { Snapshot } from './watch.ts'

/**
 * What the namespace behind a descriptor holds now, by the id by which the socket's namespace knows it. Without links it takes a third of
 * the time. Needs CAP_NET_ADMIN. Throws `namespace-missing` when the namespace ended meanwhile.
 */
export function takeSnapshot(socket: NetlinkSocket, namespaceFd: number, depth: 'all' | 'addresses'): Snapshot {
  const nsid = namespaceId(socket, namespaceFd)
  const ask = (type: number, payload: Buffer[]) =>
    socket.dump({ says: `look into the namespace with id ${nsid}`, type, payload }).map(readEvent)
  try {
    const links = depth === 'all' ? ask(RTM_GETLINK, linkDump(nsid)) : []
    const events = [...links, ...ask(RTM_GETADDR, addressDump(nsid))].filter((event) => event !== undefined)
    const view = events.reduce(fold, { links: [], addresses: [] })
    return { nsid, links: depth === 'all' ? view.links : undefined, addresses: view.addresses }
  } catch (cause) {
    // The kernel's word for an id that it does not know.
    if (kernelCodeOf(cause) !== 'EINVAL') throw cause
    throw new KeepwardError('namespace-missing', `There is no network namespace with id ${nsid}`, { cause })
  }
}
