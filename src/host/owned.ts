import { KeepwardError } from '../base/error.ts'
import { findLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { listNamespaces, openNamespace } from '../linux/netns.ts'
import { routerOfMark } from './mark.ts'
import type { OwnedRouter } from './operation.ts'

/** The named namespaces that bear this agent's mark. */
export function listOwned(agent: string): OwnedRouter[] {
  return listNamespaces().flatMap((namespace) => {
    const router = routerOfMark(agent, markIn(namespace))
    return router === undefined ? [] : [{ router, namespace }]
  })
}

/** The alias of `lo`; a name that vanishes meanwhile, or is no namespace, is nobody's. */
export function markIn(name: string): string | undefined {
  try {
    using namespace = openNamespace(name)
    using socket = openNetlink(namespace.fd)
    return findLink(socket, 'lo')?.alias
  } catch (error) {
    if (error instanceof KeepwardError && ['namespace-missing', 'namespace-failed', 'internal'].includes(error.code))
      return undefined
    throw error
  }
}
