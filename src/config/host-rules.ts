import { heldAddresses, linkOf, type HeldAddress } from './held-address.ts'
import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { pathsSchema } from './schema.ts'
import { valueAt } from './schema-findings.ts'
import { isLinkLocal } from './subnet.ts'

/** What must fit together between the routers of one host. */
export function checkHost(routers: readonly RouterDraft[], review: Review): void {
  for (const rule of rules) rule(routers, review)
}

/** A run directory is emptied at boot; the state directory holds what must survive one. */
export function checkPaths(config: unknown, review: Review): void {
  const paths = pathsSchema.safeParse(valueAt(config, ['paths'])).data
  if (paths === undefined) return
  const apart = (one: keyof typeof paths, other: keyof typeof paths) => {
    const [path, otherPath] = [paths[one], paths[other]]
    if (path === undefined || otherPath === undefined) return
    if (!isWithin(path, otherPath) && !isWithin(otherPath, path)) return
    review.tell(['paths', one], `is "${path}", must stand apart from ${review.name(['paths', other])} ("${otherPath}")`)
  }
  apart('state', 'run')
  apart('host', 'state')
  apart('host', 'run')
  for (const other of ['state', 'run', 'host'] as const) apart('anchors', other)
}

const isWithin = (path: string, directory: string): boolean => `${path}/`.startsWith(`${directory}/`)

const rules = [idsDiffer, namespacesDiffer, vridsDifferOnLink, vxlansDiffer, macAddressesDiffer, addressesDiffer]

type Routers = readonly RouterDraft[]

function idsDiffer(routers: Routers, review: Review): void {
  const found = routers.map(({ id, path }) => ({ key: id, path: [...path, 'id'] }))
  tellRepeated(review, found, (id, first) => `is "${id}", must differ from ${first}`)
}

/** Two routers of one id share their default namespace; the id's own complaint says enough. */
function namespacesDiffer(routers: Routers, review: Review): void {
  const ids = new Set<string>()
  const found = routers.flatMap(({ id, namespace, path }) => {
    const repeated = id !== undefined && ids.has(id)
    if (id !== undefined) ids.add(id)
    return repeated ? [] : [{ key: namespace, path: [...path, 'namespace'] }]
  })
  tellRepeated(
    review,
    found,
    (namespace, first) => `is "${namespace}", must differ from ${first}: a namespace has one router`,
  )
}

function vridsDifferOnLink(routers: Routers, review: Review): void {
  const found = routers.map((router) => {
    const link = linkOf(router, router.haInterface)
    const key = link === undefined || router.vrid === undefined ? undefined : `${router.vrid}, ${link}`
    return { key, path: [...router.path, 'vrid'] }
  })
  tellRepeated(review, found, (key, first) => {
    const [vrid = '', link = ''] = key.split(', ')
    return `is ${vrid}, must differ from ${first}: both routers have ${link} as their HA link`
  })
}

/** The kernel answers EEXIST to a second device of one VNI and port that was made in one namespace. */
function vxlansDiffer(routers: Routers, review: Review): void {
  const found = routers.flatMap(({ path, interfaces }) =>
    interfaces.flatMap((one, at) => {
      if (one?.attach.kind !== 'vxlan') return []
      return [
        { key: `${one.attach.vni}, ${one.attach.port}`, path: [...path, 'interfaces', at, 'attach', 'vxlan', 'vni'] },
      ]
    }),
  )
  tellRepeated(review, found, (key, first) => {
    const [vni = '', port = ''] = key.split(', ')
    return `is ${vni}, must differ from ${first}: both have port ${port}, and a host has one such device`
  })
}

function macAddressesDiffer(routers: Routers, review: Review): void {
  const found = routers.flatMap(({ path, interfaces }) =>
    interfaces.map((one, at) => ({ key: one?.macAddress, path: [...path, 'interfaces', at, 'macAddress'] })),
  )
  tellRepeated(review, found, (macAddress, first) => `is "${macAddress}", must differ from ${first}`)
}

/** Between routers only: {@link checkRouter} compares within one. */
function addressesDiffer(routers: Routers, review: Review): void {
  const seen = new Map<string, Holder[]>()
  for (const router of routers) {
    for (const held of heldAddresses(router)) {
      const holder = { router, held, link: linkOf(router, held.interface) }
      const holders = seen.get(held.prefix.address) ?? []
      const other = holders.find((one) => conflicts(one, holder))
      if (other !== undefined) tellShared(holder, other, review)
      seen.set(held.prefix.address, [...holders, holder])
    }
  }
}

interface Holder {
  readonly router: RouterDraft
  readonly held: HeldAddress
  readonly link: string | undefined
}

function conflicts(a: Holder, b: Holder): boolean {
  if (a.router === b.router || areDefaultMarkers(a, b)) return false
  if (a.link !== undefined && a.link === b.link) return true
  const perLink = isLinkLocal(a.held.prefix.address) || a.held.kind === 'marker' || b.held.kind === 'marker'
  return !perLink && (a.router.uniqueAddresses || b.router.uniqueAddresses)
}

/** Equal only with equal vrids, which has a complaint of its own. */
function areDefaultMarkers(a: Holder, b: Holder): boolean {
  return [a, b].every(({ router, held }) => held.kind === 'marker' && !router.hasOwnMarker)
}

function tellShared({ router, held, link }: Holder, other: Holder, review: Review): void {
  const byDefault = held.kind === 'marker' && !router.hasOwnMarker ? ' by default' : ''
  const why =
    link !== undefined && link === other.link ? `both are on ${link}` : 'uniqueAddresses is not false for both'
  review.tell(
    held.path,
    `is ${held.prefix.address}${byDefault}, must differ from ${review.name(other.held.path)}: ${why}`,
  )
}
