import { formatPrefix } from '../base/address.ts'
import { heldAddresses } from './held-address.ts'
import type { Path } from './problem.ts'
import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import type { RouteEntry } from './router-schema.ts'
import { contains, familyOf, isLinkLocal } from './subnet.ts'

/** What keeps a virtual route from being installed on the day that its host becomes primary. */
export function checkRoutes(router: RouterDraft, review: Review): void {
  router.virtualRoutes.forEach((route, index) => {
    if (route === undefined) return
    const path = [...router.path, 'virtualRoutes', index]
    routeLeads(route, path, review)
    familiesAgree(route, path, review)
    nextHopIsNotUs(router, route, path, review)
    nextHopIsNear(router, route, path, review)
  })
  routesDiffer(router, review)
}

function routeLeads(route: RouteEntry, path: Path, review: Review): void {
  if (route.via === undefined && route.interface === undefined) {
    review.tell(path, 'has neither via nor interface, must have one of them')
  } else if (route.to === 'default' && route.via === undefined) {
    review.tell([...path, 'to'], 'is "default", must be 0.0.0.0/0 or ::/0 where no via tells the family')
  } else if (route.via !== undefined && isLinkLocal(route.via) && route.interface === undefined) {
    review.tell([...path, 'via'], `is ${route.via}, must come with an interface: a link-local address is on every link`)
  }
}

function familiesAgree(route: RouteEntry, path: Path, review: Review): void {
  if (route.via === undefined || route.to === 'default' || route.to.family === familyOf(route.via)) return
  const destination = `${formatPrefix(route.to)} (${review.name([...path, 'to'])})`
  review.tell([...path, 'via'], `is ${route.via}, must be IPv${route.to.family} as its destination ${destination}`)
}

function nextHopIsNotUs(router: RouterDraft, route: RouteEntry, path: Path, review: Review): void {
  if (route.via === undefined) return
  const own = heldAddresses(router).find(({ prefix, interface: name }) => {
    return prefix.address === route.via && (!isLinkLocal(prefix.address) || name === route.interface)
  })
  if (own === undefined) return
  review.tell(
    [...path, 'via'],
    `is ${route.via}, the router's own address (${review.name(own.path)}), must be another's`,
  )
}

/**
 * The kernel refuses a next hop that no connected subnet or route without next hop covers. Where an interface exists
 * already its maker may have given it addresses, so nothing is known there.
 */
function nextHopIsNear(router: RouterDraft, route: RouteEntry, path: Path, review: Review): void {
  const { via } = route
  if (via === undefined || isLinkLocal(via) || hidesAddresses(router, route.interface)) return
  const on = (name: string | undefined) => route.interface === undefined || name === route.interface
  const near = [
    ...heldAddresses(router)
      .filter(({ kind, interface: name }) => kind !== 'marker' && on(name))
      .map(({ prefix }) => prefix),
    ...router.virtualRoutes.flatMap((one) =>
      one && one.via === undefined && one.to !== 'default' && on(one.interface) ? [one.to] : [],
    ),
  ]
  if (near.some((prefix) => prefix.prefixLength > 0 && contains(prefix, via))) return
  const where = route.interface === undefined ? 'of the router' : `on ${route.interface}`
  review.tell([...path, 'via'], `is ${via}, must lie in the subnet of an address ${where}`)
}

function hidesAddresses(router: RouterDraft, name: string | undefined): boolean {
  const candidates = router.interfaces.filter((one) => one === undefined || name === undefined || one.name === name)
  const broken = router.virtualAddresses.includes(undefined)
  return (
    broken || candidates.length === 0 || candidates.some((one) => one === undefined || one.attach.kind === 'existing')
  )
}

function routesDiffer(router: RouterDraft, review: Review): void {
  const found = router.virtualRoutes.map((route, index) => ({
    key: route && `${destinationOf(route)} metric ${route.metric ?? 'unset'}`,
    path: [...router.path, 'virtualRoutes', index],
  }))
  tellRepeated(review, found, (key, first) => `is a second route to ${key}, must differ from ${first} in to or metric`)
}

function destinationOf({ to, via }: RouteEntry): string {
  if (to !== 'default') return formatPrefix(to)
  return via !== undefined && familyOf(via) === 6 ? '::/0' : '0.0.0.0/0'
}
