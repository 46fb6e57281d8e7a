import { listAddresses, removeAddress } from '../linux/address.ts'
import { listLinks } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import type { RouterSpec } from '../router/spec.ts'

/**
 * Remove the marker and the virtual addresses that a keepalived which died without a word left behind, and no others.
 * keepalived starts as backup and would leave them there, answering beside the new primary.
 */
export function clearVirtualAddresses(spec: RouterSpec, namespaceFd: number): void {
  using socket = openNetlink(namespaceFd)
  const names = new Map(listLinks(socket).map((link) => [link.ifindex, link.name]))
  const movable = [{ ...spec.marker, interface: spec.haInterface }, ...spec.virtualAddresses]
  const left = listAddresses(socket).filter((held) =>
    movable.some((one) => one.address === held.address && one.interface === names.get(held.ifindex)),
  )
  socket.apply(left.map((held) => removeAddress(held.ifindex, held)))
}
