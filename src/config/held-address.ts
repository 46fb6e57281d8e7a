import type { Prefix } from '../base/address.ts'
import type { Path } from './problem.ts'
import type { Attach } from '../router/spec.ts'
import type { RouterDraft } from './router-draft.ts'

/** One address that a router can hold, always or as primary. */
export interface HeldAddress {
  readonly kind: 'own' | 'virtual' | 'marker'
  readonly prefix: Prefix
  readonly interface: string | undefined
  readonly path: Path
}

/** Every address of a router: the marker first, then own ones, then virtual ones. */
export function heldAddresses(router: RouterDraft): HeldAddress[] {
  const { path, marker, haInterface } = router
  const held: HeldAddress[] = []
  if (marker !== undefined)
    held.push({ kind: 'marker', prefix: marker, interface: haInterface, path: [...path, 'marker'] })
  router.interfaces.forEach((one, at) => {
    one?.addresses.forEach((prefix, index) => {
      held.push({ kind: 'own', prefix, interface: one.name, path: [...path, 'interfaces', at, 'addresses', index] })
    })
  })
  router.virtualAddresses.forEach((one, index) => {
    if (one === undefined) return
    held.push({
      kind: 'virtual',
      prefix: one,
      interface: one.interface,
      path: [...path, 'virtualAddresses', index, 'address'],
    })
  })
  return held
}

/** The link that an interface is on, as far as the config knows it: nobody knows where an existing one leads. */
export function linkOf(router: RouterDraft, interfaceName: string | undefined): string | undefined {
  const attach = router.interfaces.find((one) => one?.name === interfaceName)?.attach
  return attach && linkName(attach)
}

function linkName(attach: Attach): string | undefined {
  switch (attach.kind) {
    case 'bridge':
      return `bridge ${attach.bridge}`
    case 'macvlan':
      return `macvlan parent ${attach.parent}`
    case 'vxlan':
      return `vxlan ${attach.vni}`
    case 'existing':
      return undefined
  }
}
