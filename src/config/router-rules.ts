import { formatPrefix } from '../base/address.ts'
import { checkAdvertisements } from './advertisement-rules.ts'
import { checkAuthentication } from './authentication-rules.ts'
import { checkFlows } from './flow-rules.ts'
import { showDuration } from './form.ts'
import { heldAddresses, type HeldAddress } from './held-address.ts'
import type { Path } from './problem.ts'
import { checkMetadata } from './metadata-rules.ts'
import { checkNat } from './nat-rules.ts'
import { checkPeers } from './peer-rules.ts'
import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { isLinkLocal, overlaps } from './subnet.ts'

/** What must fit together within one router; routes have `route-rules.ts`. */
export function checkRouter(router: RouterDraft, review: Review): void {
  for (const rule of rules) rule(router, review)
}

const rules = [
  interfaceNamesDiffer,
  interfacesAreDeclared,
  interfacesAreOurs,
  mtuCarriesIpv6,
  intervalFitsVersion,
  checkAuthentication,
  familyFitsVersion,
  checkPeers,
  markerFitsFamily,
  markerStandsApart,
  addressesDiffer,
  checkAdvertisements,
  checkMetadata,
  checkFlows,
  checkNat,
]

function interfaceNamesDiffer(router: RouterDraft, review: Review): void {
  const interfaces = router.interfaces.map((one, at) => ({
    key: one?.name,
    path: [...router.path, 'interfaces', at, 'name'],
  }))
  tellRepeated(review, interfaces, (name, first) => `is "${name}", must differ from ${first}`)
  const tracked = router.track.map((key, at) => ({ key, path: [...router.path, 'track', at] }))
  tellRepeated(review, tracked, (name, first) => `is "${name}", must differ from ${first}`)
}

function interfacesAreDeclared(router: RouterDraft, review: Review): void {
  const named: { name: string | undefined; at: Path }[] = [
    { name: router.haInterface, at: ['ha', 'interface'] },
    ...router.track.map((name, at) => ({ name, at: ['track', at] })),
    ...router.virtualAddresses.map((one, at) => ({ name: one?.interface, at: ['virtualAddresses', at, 'interface'] })),
    ...router.virtualRoutes.map((one, at) => ({ name: one?.interface, at: ['virtualRoutes', at, 'interface'] })),
    ...router.routerAdvertisements.map((one, at) => ({
      name: one?.interface,
      at: ['routerAdvertisements', at, 'interface'],
    })),
    ...(router.nat?.masquerade ?? []).map((one, at) => ({
      name: one.interface,
      at: ['nat', 'masquerade', at, 'interface'],
    })),
  ]
  const declared = router.interfaceNames
  const shown = router.interfaces.flatMap((one) => (one === undefined ? [] : [one.name])).join(', ')
  for (const { name, at } of named) {
    if (name === undefined || declared.includes(name)) continue
    const wanted = shown === '' ? 'must be declared under interfaces' : `must be one of its interfaces: ${shown}`
    review.tell([...router.path, ...at], `is "${name}", which the router does not declare, ${wanted}`)
  }
}

function interfacesAreOurs(router: RouterDraft, review: Review): void {
  router.interfaces.forEach((one, at) => {
    if (one === undefined) return
    const path = [...router.path, 'interfaces', at]
    if (one.attach.kind !== 'existing') {
      if (one.name === 'lo')
        review.tell([...path, 'name'], 'is "lo", must be another name: a namespace has its own loopback')
      return
    }
    const wanted = 'must be left out: an existing interface belongs to whoever makes it'
    if (one.mtu !== undefined) review.tell([...path, 'mtu'], `is ${one.mtu}, ${wanted}`)
    if (one.macAddress !== undefined) review.tell([...path, 'macAddress'], `is "${one.macAddress}", ${wanted}`)
  })
  if (router.haInterface !== 'lo') return
  review.tell([...router.path, 'ha', 'interface'], 'is "lo", must be an interface that reaches the other hosts')
}

/** RFC 8200, section 5; the kernel takes IPv6 off an interface with less. */
function mtuCarriesIpv6(router: RouterDraft, review: Review): void {
  const held = heldAddresses(router)
  router.interfaces.forEach((one, at) => {
    if (one?.mtu === undefined || one.mtu >= 1280) return
    const sixth = held.find(({ prefix, interface: name }) => prefix.family === 6 && name === one.name)
    if (sixth === undefined) return
    const why = `IPv6 address ${sixth.prefix.address} is on it`
    review.tell([...router.path, 'interfaces', at, 'mtu'], `is ${one.mtu}, must be at least 1280: ${why}`)
  })
}

/** RFC 3768, 5.3.7: one byte of seconds. RFC 9568, 5.2.7: twelve bits of centiseconds. */
function intervalFitsVersion(router: RouterDraft, review: Review): void {
  const ms = router.advertisementIntervalMs
  if (ms === undefined) return
  const path = [...router.path, 'advertisementInterval']
  if (router.vrrpVersion === 2 && ms % 1000 !== 0) {
    review.tell(path, `is ${showDuration(ms)}, must be whole seconds from 1s to 255s in VRRPv2`)
  }
  if (router.vrrpVersion === 3 && (ms % 10 !== 0 || ms > 40_950)) {
    review.tell(path, `is ${showDuration(ms)}, must be 10ms to 40.95s in steps of 10ms in VRRPv3`)
  }
}

function familyFitsVersion(router: RouterDraft, review: Review): void {
  if (router.vrrpVersion !== 2 || router.family !== 6) return
  const addresses = router.hasOwnMarker ? 'its marker is IPv6' : 'its virtual addresses are IPv6 only'
  const why = router.advertise?.kind === 'unicast' ? 'its unicast source is IPv6' : addresses
  review.tell([...router.path, 'vrrpVersion'], `is 2, must be 3: ${why}, and VRRPv2 speaks IPv4 only`)
}

function markerFitsFamily(router: RouterDraft, review: Review): void {
  const { marker, family } = router
  if (marker === undefined || family === undefined || !router.hasOwnMarker) return
  const path = [...router.path, 'marker']
  if (marker.family !== family) {
    review.tell(path, `is ${formatPrefix(marker)}, must be IPv${family} as the advertisements of this router`)
  } else if (family === 6 && !isLinkLocal(marker.address)) {
    // RFC 9568, 5.2.9: the first address is the link-local one.
    review.tell(path, `is ${formatPrefix(marker)}, must be a link-local address such as fe80::5652:7/64 in IPv6`)
  }
}

/**
 * In one subnet the kernel makes the later address a secondary of the earlier one and removes both together, so the
 * marker would vanish with an address that is no role. IPv6 has no such tie, and its link-local subnet is shared.
 */
function markerStandsApart(router: RouterDraft, review: Review): void {
  const { marker } = router
  if (marker?.family !== 4) return
  const other = heldAddresses(router).find(
    ({ kind, prefix }) => kind !== 'marker' && prefix.address !== marker.address && overlaps(prefix, marker),
  )
  if (other === undefined) return
  const what = router.hasOwnMarker ? 'is' : 'is by default'
  const whose = `${formatPrefix(other.prefix)} (${review.name(other.path)})`
  review.tell([...router.path, 'marker'], `${what} ${formatPrefix(marker)}, must lie outside the subnet of ${whose}`)
}

function addressesDiffer(router: RouterDraft, review: Review): void {
  const found = heldAddresses(router).map((held) => ({ key: placeOf(held), path: held.path }))
  tellRepeated(review, found, (key, first) => `is ${key.split(' ')[0] ?? key}, must differ from ${first}`)
}

/** Every interface may have the same IPv6 link-local address: each link is a world of its own (RFC 4291, 2.5.6). */
function placeOf({ prefix, interface: name }: HeldAddress): string {
  return prefix.family === 6 && isLinkLocal(prefix.address) ? `${prefix.address} on ${name ?? ''}` : prefix.address
}
