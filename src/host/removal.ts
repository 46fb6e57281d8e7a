import { KeepwardError } from '../base/error.ts'
import { findKeepalived } from '../keepalived/adopt.ts'
import type { KeepalivedHome } from '../keepalived/home.ts'
import { stopKeepalived } from '../keepalived/process.ts'
import { listLinks, removeLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { deleteNamespace, openNamespace } from '../linux/netns.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { RouterId } from '../router/spec.ts'
import { removeTables } from './table-keeper.ts'
import { markOf } from './mark.ts'
import { markIn } from './owned.ts'
import { recentScan, type Supervised } from './supervised.ts'

/** End the router's keepalived, wherever it lives; none is fine. */
export async function endKeepalived(home: KeepalivedHome, supervised: Supervised): Promise<void> {
  const process = supervised.process ?? (await findKeepalived(home, undefined, recentScan))?.process
  if (process !== undefined) await stopKeepalived(home, process)
  supervised.release()
}

/** Remove what bears our mark: the namespace when it is ours, else the interfaces in it; then the rendered files. */
export async function removeRouter(router: RouterId, namespace: string, homes: SafeDir, agent: string): Promise<void> {
  if (markIn(namespace) === markOf(agent, router)) {
    removeMarkedLinks(router, namespace, agent)
    await deleteNamespace(namespace)
  } else {
    removeMarkedLinks(router, namespace, agent)
    await removeOurTables(namespace)
  }
  await homes.removeDirectory(router)
}

async function removeOurTables(name: string): Promise<void> {
  try {
    using namespace = openNamespace(name)
    await removeTables(namespace)
  } catch (error) {
    // Where there is no nf_tables there is no table of ours.
    if (!(error instanceof KeepwardError && ['namespace-missing', 'netlink-failed'].includes(error.code))) throw error
  }
}

/** Links go before their namespace: the kernel takes its time to end one, and a bridge port must not linger. */
function removeMarkedLinks(router: RouterId, name: string, agent: string): void {
  try {
    using namespace = openNamespace(name)
    using socket = openNetlink(namespace.fd)
    const ours = listLinks(socket).filter((link) => link.name !== 'lo' && link.alias === markOf(agent, router))
    socket.apply(ours.map((link) => removeLink(link.ifindex)))
  } catch (error) {
    if (!(error instanceof KeepwardError && error.code === 'namespace-missing')) throw error
  }
}
