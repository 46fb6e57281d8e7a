import type { Peer } from '../../linux/unix-socket.ts'

/** Who may do what on the control socket; root and our own user may do all. */
export interface Policy {
  readonly ownUid: number
  /** Members read; undefined when there is no such group on this host. */
  readonly readerGid: number | undefined
}

export type Permission = 'all' | 'read' | 'none'

/** Decide from the kernel's word alone. */
export function permissionOf(peer: Peer, policy: Policy): Permission {
  if (peer.uid === 0 || peer.uid === policy.ownUid) return 'all'
  const { readerGid } = policy
  return readerGid !== undefined && (peer.gid === readerGid || peer.groups.includes(readerGid)) ? 'read' : 'none'
}

/** What a request needs: looking is reading, everything else is changing. */
export const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD'
