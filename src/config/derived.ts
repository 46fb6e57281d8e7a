import type { Prefix } from '../base/address.ts'
import type { Advertise } from '../router/spec.ts'
import { familyOf } from './subnet.ts'

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
