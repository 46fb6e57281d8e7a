import { addAddress, removeAddress } from '../src/linux/address.ts'
import { linkByName } from '../src/linux/link.ts'
import { openNetlink, type NetlinkSocket, type Request } from '../src/linux/netlink-socket.ts'
import { openNamespace } from '../src/linux/netns.ts'
import { monotonicMs } from './follow.ts'
import { haInterface, markerOf, routerId } from './routers.ts'
import type { World, WorldHost } from './world.ts'

/** The marker address of one router, put there and taken away by hand, as keepalived does it: by one netlink request. */
export interface Marker {
  readonly router: string
  /** Change it; returns when, in milliseconds of CLOCK_MONOTONIC: just before the request and just after its answer. */
  flip(): { readonly beforeMs: number; readonly afterMs: number; readonly to: string }
  close(): void
}

export function openMarkers(world: World, host: WorldHost, routers: number): Marker[] {
  return Array.from({ length: routers }, (_, index) => openMarker(world.plan(host, index + 1).namespace, index + 1))
}

function openMarker(name: string, n: number): Marker {
  using namespace = openNamespace(name)
  const socket: NetlinkSocket = openNetlink(namespace.fd)
  const { ifindex } = linkByName(socket, haInterface)
  // Made before the clock is read: only the request itself is timed.
  const add: Request = addAddress(ifindex, markerOf(n), 0)
  const remove: Request = removeAddress(ifindex, markerOf(n))
  let there = false
  return {
    router: routerId(n),
    flip: () => {
      there = !there
      const beforeMs = monotonicMs()
      socket.apply([there ? add : remove])
      return { beforeMs, afterMs: monotonicMs(), to: there ? 'primary' : 'backup' }
    },
    close: () => {
      socket.close()
    },
  }
}
