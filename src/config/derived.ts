import { createHash } from 'node:crypto'
import { addressFromBytes, type Prefix } from '../base/address.ts'
import { silentInterfaces } from '../router/silence.ts'
import type { Advertise, RouterSpec, VirtualAddress } from '../router/spec.ts'
import { familyOf, isLinkLocal } from './subnet.ts'

/** Defaults that follow from other keys. */

/** Beside the state directory, in which the agent may write and root must not be overruled. */
export const defaultAnchors = (state: string): string => `${state}-anchors`

export const defaultNamespace = (id: string): string => `keepward-${id}`

/** The marker's host part is the vrid, so that routers of one HA link differ and all hosts agree. */
export function defaultMarker(vrid: number, family: 4 | 6): Prefix {
  return family === 4
    ? { family, address: `169.254.0.${vrid}`, prefixLength: 24 }
    : { family, address: `fe80::5652:${vrid.toString(16)}`, prefixLength: 64 }
}

/**
 * The family that the advertisements travel in, which is the marker's too: keepalived takes one family in
 * `virtual_ipaddress`, that of its unicast peers. Without peers a marker that is written down decides.
 */
export function vrrpFamily(router: {
  readonly advertise: Advertise
  readonly ownMarker: Prefix | undefined
  readonly virtualAddresses: readonly (Prefix | undefined)[]
}): 4 | 6 {
  if (router.advertise.kind === 'unicast') return familyOf(router.advertise.source)
  if (router.ownMarker !== undefined) return router.ownMarker.family
  const families = new Set(router.virtualAddresses.map((address) => address?.family))
  return families.has(6) && !families.has(4) ? 6 : 4
}

/**
 * With a link-local one before them, wherever there are IPv6 addresses that move: every IPv6 interface needs one (RFC 4291,
 * 2.1), and one of the kernel's making would be there whatever the role. It comes from names that are the same on all hosts.
 */
export function withLinkLocals(
  router: Pick<RouterSpec, 'id' | 'haInterface' | 'interfaces' | 'virtualAddresses'>,
): VirtualAddress[] {
  const lacking = silentInterfaces(router).filter((name) => {
    const sixth = router.virtualAddresses.filter((one) => one.interface === name && one.family === 6)
    return sixth.length > 0 && !sixth.some(({ address }) => isLinkLocal(address))
  })
  return [...lacking.map((name) => linkLocal(router.id, name)), ...router.virtualAddresses]
}

function linkLocal(id: string, name: string): VirtualAddress {
  const own = createHash('sha256').update(`${id} ${name}`).digest().subarray(0, 8)
  const address = addressFromBytes(Buffer.concat([Buffer.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0), own]))
  return { family: 6, address, prefixLength: 64, interface: name }
}
