import type { NetlinkSocket } from '../linux/netlink-socket.ts'
import { namespaceInode, openNamespace, openNamespaceOf } from '../linux/netns.ts'
import { takeSnapshot } from '../linux/snapshot.ts'
import type { NamespaceLook } from './operation.ts'

/** What the kernel holds of a router's namespace; its keepalived, the `holder`, may live on in one that has lost its name. */
export function lookInside(
  name: string | undefined,
  holder: number | undefined,
  socket: NetlinkSocket,
  depth: 'all' | 'addresses',
): NamespaceLook {
  if (name === undefined) return { kind: 'absent', reason: 'the router has no namespace' }
  const named = namespaceInode(name) !== undefined
  if (!named && holder === undefined) return { kind: 'absent', reason: `namespace ${name} is not there` }
  using namespace = named ? openNamespace(name) : openNamespaceOf(holder ?? 0)
  const { inode, fd } = namespace
  return { kind: 'present', inode, named, ...takeSnapshot(socket, fd, depth) }
}
