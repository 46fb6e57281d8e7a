import { formatPrefix } from '../base/address.ts'
import type { InterfaceSpec } from '../router/spec.ts'
import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { contains, familyOf, isLinkLocal } from './subnet.ts'

/** What keeps the instances of a router from hearing each other, which would make all of them primary. */
export function checkPeers(router: RouterDraft, review: Review): void {
  peersFitSource(router, review)
  sourceIsOnHaInterface(router, review)
  routedPeersHaveTtl(router, review)
  groupHasSource(router, review)
  groupPeersAreOnLink(router, review)
}

function peersFitSource(router: RouterDraft, review: Review): void {
  if (router.advertise?.kind !== 'unicast') return
  const { source, peers } = router.advertise
  const at = [...router.path, 'ha', 'unicast']
  const family = familyOf(source)
  peers.forEach((peer, index) => {
    const path = [...at, 'peers', index]
    const named = review.name([...at, 'source'])
    if (peer === source)
      review.tell(path, `is ${peer}, the router's own source (${named}), must be another host's address`)
    if (familyOf(peer) !== family)
      review.tell(path, `is ${peer}, must be IPv${family} as its source ${source} (${named})`)
  })
  const found = peers.map((key, index) => ({ key, path: [...at, 'peers', index] }))
  tellRepeated(review, found, (peer, first) => `is ${peer}, must differ from ${first}`)
}

/** An existing interface may hold addresses that its maker gave it, unless the config lists some. */
function sourceIsOnHaInterface(router: RouterDraft, review: Review): void {
  if (router.advertise?.kind !== 'unicast') return
  const { source } = router.advertise
  const ha = knownHaInterface(router)
  if (ha === undefined || ha.addresses.some(({ address }) => address === source)) return
  const wanted = `must be an address of the HA interface ${ha.name} (${listed(ha)})`
  review.tell([...router.path, 'ha', 'unicast', 'source'], `is ${source}, ${wanted}`)
}

/** Every router on the way takes one off: without a lower limit no advert of such a peer would be heard. */
function routedPeersHaveTtl(router: RouterDraft, review: Review): void {
  if (router.advertise?.kind !== 'unicast' || router.advertise.minTtl !== undefined) return
  const ha = knownHaInterface(router)
  // With a source that is elsewhere, nothing is known of what is near.
  if (ha === undefined || !isNear(ha, router.advertise.source)) return
  router.advertise.peers.forEach((peer, index) => {
    if (isNear(ha, peer) || familyOf(peer) !== router.family) return
    const where = `outside the subnets of ${ha.name} (${listed(ha)})`
    const path = [...router.path, 'ha', 'unicast', 'peers', index]
    review.tell(path, `is ${peer}, ${where}, must come with ha.unicast.minTtl`)
  })
}

/** keepalived sends from the first IPv4 address; for IPv6 the kernel gives a link-local one that no peer could declare. */
function groupHasSource(router: RouterDraft, review: Review): void {
  const { advertise } = router
  if (advertise?.kind !== 'multicast' || (router.family === 6 && advertise.peers === undefined)) return
  const at = router.interfaces.findIndex((one) => one?.name === router.haInterface)
  const ha = router.interfaces[at]
  if (ha === undefined || ha.attach.kind === 'existing') return
  const [what, fits] =
    router.family === 6
      ? ['link-local IPv6', ha.addresses.some(({ family, address }) => family === 6 && isLinkLocal(address))]
      : ['IPv4', ha.addresses.some(({ family }) => family === 4)]
  if (fits) return
  const message = `has no ${what} address, must have one: multicast advertisements leave from ${ha.name}`
  review.tell([...router.path, 'interfaces', at], message)
}

/** Multicast adverts never leave their link; over IPv6 they come from link-local addresses (RFC 9568, 5.1.2.1). */
function groupPeersAreOnLink(router: RouterDraft, review: Review): void {
  const { advertise, family } = router
  if (advertise?.kind !== 'multicast' || advertise.peers === undefined || family === undefined) return
  const at = [...router.path, 'ha', 'multicast', 'peers']
  const ha = knownHaInterface(router)
  advertise.peers.forEach((peer, index) => {
    const wanted = groupPeerWanted(peer, family, ha)
    if (wanted !== undefined) review.tell([...at, index], `is ${peer}, ${wanted}`)
  })
  const found = advertise.peers.map((key, index) => ({ key, path: [...at, index] }))
  tellRepeated(review, found, (peer, first) => `is ${peer}, must differ from ${first}`)
}

function groupPeerWanted(peer: string, family: 4 | 6, ha: InterfaceSpec | undefined): string | undefined {
  if (familyOf(peer) !== family) return `must be IPv${family} as the advertisements of this router`
  if (family === 6 && !isLinkLocal(peer))
    return 'must be a link-local address such as fe80::2: IPv6 advertisements come from one'
  if (ha?.addresses.some(({ address }) => address === peer))
    return `an address of the router's own ${ha.name}, must be another host's address`
  if (ha === undefined || isNear(ha, peer)) return undefined
  return `must lie in a subnet of ${ha.name} (${listed(ha)}): multicast does not leave the link`
}

/** Undefined where its maker may have given it addresses that nobody has listed. */
function knownHaInterface(router: RouterDraft): InterfaceSpec | undefined {
  const ha = router.interfaces.find((one) => one?.name === router.haInterface)
  return ha?.attach.kind === 'existing' && ha.addresses.length === 0 ? undefined : ha
}

const isNear = (ha: InterfaceSpec, peer: string): boolean =>
  (familyOf(peer) === 6 && isLinkLocal(peer)) || ha.addresses.some((prefix) => contains(prefix, peer))

const listed = ({ addresses }: InterfaceSpec): string =>
  addresses.length === 0 ? 'it has none' : addresses.map(formatPrefix).join(', ')
