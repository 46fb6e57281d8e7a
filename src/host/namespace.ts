import { findLink, setLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { attachNamespace, namespaceInode, openNamespace } from '../linux/netns.ts'
import type { RouterSpec } from '../router/spec.ts'
import { markOf } from './mark.ts'
import { isSettled, settle } from './settings.ts'

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
  settle(spec, namespace)
}

/** The namespace is there with all its settings. */
export function namespaceReady(spec: RouterSpec): boolean {
  if (namespaceInode(spec.namespace) === undefined) return false
  using namespace = openNamespace(spec.namespace)
  return isSettled(spec, namespace)
}
